import numpy as np
import pytest
import torch
from torch import Tensor

from tarn.training.recipe.loss import Loss
from tarn.training.recipe.mixing import Mixing, dominating, rolled
from tarn.training.recipe.moment import Moment

CLASSES = 7


def batch(samples: int = 6, side: int = 12) -> tuple[Tensor, Tensor]:
    draw = torch.Generator().manual_seed(samples)
    images = torch.randn(samples, 3, side, side + 4, generator=draw).to(memory_format=torch.channels_last)
    return images, torch.randint(0, CLASSES, (samples,), generator=draw)


def moment(step: int, samples: int = 6) -> Moment:
    return Moment(0, step, np.arange(step * 10, step * 10 + samples))


def one_hot(labels: Tensor) -> Tensor:
    return torch.eye(CLASSES)[labels]


def test_mixup_blends_each_sample_and_its_target_with_the_same_partner() -> None:
    images, labels = batch()
    mixing = Mixing(mixup=0.4, cutmix=0, probability=1, classes=CLASSES, seed=1)
    for step in range(20):
        mix = mixing.draw(moment(step), *images.shape[-2:])
        assert mix is not None
        assert mix.box is None
        out, targets = mixing(images.clone(), labels, moment(step))
        partners = [(row - mix.shift) % 6 for row in range(6)]
        assert all(partner != row for row, partner in enumerate(partners))
        assert torch.allclose(out, mix.share * images + (1 - mix.share) * images[partners], atol=1e-6)
        assert torch.allclose(targets, mix.share * one_hot(labels) + (1 - mix.share) * one_hot(labels)[partners])
        assert targets.dtype == torch.float32
        assert out.is_contiguous(memory_format=torch.channels_last)


def test_cutmix_takes_exactly_the_box_from_the_partner_and_weighs_targets_by_its_area() -> None:
    images, labels = batch()
    mixing = Mixing(mixup=0, cutmix=1.0, probability=1, classes=CLASSES, seed=1)
    for step in range(20):
        mix = mixing.draw(moment(step), *images.shape[-2:])
        assert mix is not None
        assert mix.box is not None
        top, left, bottom, right = mix.box
        partners = [(row - mix.shift) % 6 for row in range(6)]
        inside = torch.zeros(12, 16, dtype=torch.bool)
        inside[top:bottom, left:right] = True
        out, targets = mixing(images.clone(), labels, moment(step))
        assert torch.equal(out[..., inside], images[partners][..., inside])
        assert torch.equal(out[..., ~inside], images[..., ~inside])
        share = 1 - inside.float().mean()
        assert torch.allclose(targets, share * one_hot(labels) + (1 - share) * one_hot(labels)[partners])


@pytest.mark.parametrize(("alpha", "spread"), [(0.2, 0.4226), (1.0, 0.2887)])
def test_shares_are_those_of_beta_and_either_kind_comes_as_often(alpha: float, spread: float) -> None:
    mixing = Mixing(mixup=alpha, cutmix=1.0, probability=0.75, classes=CLASSES, seed=2)
    drawn = [mixing.draw(moment(step, samples=64), 224, 224) for step in range(4000)]
    mixed = [mix for mix in drawn if mix is not None]
    shares = np.array([mix.share for mix in mixed if mix.box is None])
    assert abs(len(mixed) / 4000 - 0.75) < 0.035
    assert abs(len(shares) / len(mixed) - 0.5) < 0.05
    assert abs(shares.mean() - 0.5) < 0.05
    assert abs(shares.std() - spread) < 0.02
    assert {mix.shift for mix in mixed} == set(range(1, 64))


def test_what_is_drawn_is_the_same_again_and_another_for_another_part_step_epoch_or_seed() -> None:
    def share(seed: int, epoch: int, step: int, first: int) -> float:
        mixing = Mixing(mixup=1.0, cutmix=0, probability=1, classes=CLASSES, seed=seed)
        mix = mixing.draw(Moment(epoch, step, np.arange(first, first + 8)), 8, 8)
        assert mix is not None
        return mix.share

    ways = [(1, 0, 0, 0), (2, 0, 0, 0), (1, 1, 0, 0), (1, 0, 1, 0), (1, 0, 0, 8)]
    assert [share(*way) for way in ways] == [share(*way) for way in ways]
    assert len({share(*way) for way in ways}) == len(ways)


def test_a_part_that_is_not_mixed_has_certain_targets() -> None:
    for samples, probability in ((1, 1.0), (6, 0.0)):
        images, labels = batch(samples)
        mixing = Mixing(mixup=1.0, cutmix=1.0, probability=probability, classes=CLASSES, seed=0)
        out, targets = mixing(images.clone(), labels, moment(0, samples))
        assert torch.equal(out, images)
        assert torch.equal(targets, one_hot(labels))


def test_smoothing_of_a_mixture_is_the_mixture_of_smoothed_targets() -> None:
    """timm smooths first and mixes then: off is s / classes, on is 1 - s + s / classes."""
    images, labels = batch()
    _, targets = Mixing(0.4, 0, 1, CLASSES, seed=1)(images, labels, moment(0))
    mix = Mixing(0.4, 0, 1, CLASSES, seed=1).draw(moment(0), 12, 16)
    assert mix is not None
    smooth = torch.full((6, CLASSES), 0.1 / CLASSES) + 0.9 * one_hot(labels)
    expected = mix.share * smooth + (1 - mix.share) * rolled(smooth, mix.shift)
    logits = torch.randn(6, CLASSES, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(Loss(0.1)(logits, targets), -(expected * logits.log_softmax(dim=1)).sum())


def test_the_class_with_most_of_a_target_dominates() -> None:
    assert dominating(torch.tensor([[0.2, 0.8, 0.0], [0.6, 0.0, 0.4]])).tolist() == [1, 0]
    assert dominating(torch.tensor([2, 0])).tolist() == [2, 0]
