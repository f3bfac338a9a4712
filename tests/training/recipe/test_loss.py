import numpy as np
import pytest
import torch
import torch.nn.functional as functional
from torch import Tensor

from tarn.training.recipe.loss import Loss, balanced, build_loss
from tarn.training.recipe.optim import OptimConfig

LOGITS = torch.randn(6, 5, generator=torch.Generator().manual_seed(1)) * 3
LABELS = torch.tensor([0, 4, 2, 2, 1, 3])
ONE_HOT = functional.one_hot(LABELS, 5).float()
MIXED = 0.7 * ONE_HOT + 0.3 * ONE_HOT.flip(0)


def by_definition(logits: Tensor, targets: Tensor) -> float:
    """Each class's -t log s - (1 - t) log (1 - s), the mean over the classes, summed over samples; in float64."""
    s, t = 1 / (1 + np.exp(-logits.double().numpy())), targets.double().numpy()
    return float((-t * np.log(s) - (1 - t) * np.log(1 - s)).mean(axis=1).sum())


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_cross_entropy_of_labels_and_of_the_same_probabilities_is_torchs(smoothing: float) -> None:
    theirs = torch.nn.CrossEntropyLoss(label_smoothing=smoothing)(LOGITS, LABELS) * 6
    assert torch.allclose(Loss(smoothing)(LOGITS, LABELS), theirs)
    assert torch.allclose(Loss(smoothing)(LOGITS, ONE_HOT), theirs)
    mixed = 0.7 * Loss(smoothing)(LOGITS, LABELS) + 0.3 * Loss(smoothing)(LOGITS, LABELS.flip(0))
    assert torch.allclose(Loss(smoothing)(LOGITS, MIXED), mixed)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("targets", [LABELS, ONE_HOT, MIXED], ids=["labels", "one-hot", "mixed"])
def test_bce_is_the_mean_over_classes_of_smoothed_targets(smoothing: float, targets: Tensor) -> None:
    shares = MIXED if targets is MIXED else ONE_HOT
    wanted = by_definition(LOGITS, shares * (1 - smoothing) + smoothing / 5)
    assert float(Loss(smoothing, "bce")(LOGITS, targets)) == pytest.approx(wanted, rel=1e-5)
    mean = functional.binary_cross_entropy_with_logits(LOGITS, shares)  # as timm's: over the batch and the classes
    assert float(Loss(0.0, "bce")(LOGITS, targets)) / 6 == pytest.approx(float(mean), rel=1e-5)


def test_bce_above_the_threshold_is_one_and_zero_elsewhere() -> None:
    loss = Loss(0.1, "bce", threshold=0.2)
    assert float(loss(LOGITS, MIXED)) == pytest.approx(by_definition(LOGITS, (MIXED > 0).float()), rel=1e-5)
    higher = Loss(0.1, "bce", threshold=0.4)
    assert float(higher(LOGITS, MIXED)) == pytest.approx(by_definition(LOGITS, (MIXED > 0.5).float()), rel=1e-5)


def test_balanced_weights_are_n_over_classes_times_count() -> None:
    counts = torch.tensor([10, 30, 60])
    assert balanced(counts).tolist() == pytest.approx([100 / 30, 100 / 90, 100 / 180])
    assert float((balanced(counts) * counts).sum() / 100) == pytest.approx(1.0)
    assert balanced(torch.tensor([5, 0, 5])).tolist() == [1.0, 0.0, 1.0]


def test_class_weights_weigh_samples_by_their_class() -> None:
    counts = torch.tensor([1, 2, 3, 4, 5])
    weights = balanced(counts)
    loss = build_loss(OptimConfig(class_weights="balanced"), counts)
    theirs = torch.nn.CrossEntropyLoss(weight=weights, reduction="sum")(LOGITS, LABELS)
    assert torch.allclose(loss(LOGITS, LABELS), theirs)
    bce = build_loss(OptimConfig(class_weights="balanced", loss="bce"), counts)
    alone = [Loss(kind="bce")(LOGITS[i : i + 1], LABELS[i : i + 1]) * weights[LABELS[i]] for i in range(6)]
    assert torch.allclose(bce(LOGITS, LABELS), torch.stack(alone).sum())
    assert torch.allclose(bce(LOGITS, ONE_HOT), torch.stack(alone).sum())
