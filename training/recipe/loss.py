"""What a network is told of its answers."""

import torch
import torch.nn.functional as functional
from torch import Tensor, nn

from tarn.training.recipe.optim import OptimConfig


class Loss(nn.Module):
    """The loss of a part of a batch, summed over its samples.

    kind: cross_entropy; or bce, binary cross entropy of each class by itself (Wightman et al. 2021, "ResNet strikes
    back", arXiv 2110.00476, section 2.2). A sample's bce is the mean over the classes, as in timm, so that the rates
    and the eps of published recipes hold; the sum that some write is as many times larger as there are classes.
    label_smoothing: part of the probability that is spread over all classes (Szegedy et al. 2015, arXiv 1512.00567,
    section 7).
    threshold: of bce; smoothed targets above it become 1, others 0.
    class_weights: classes float32. Cross entropy takes them as torch's does; of bce, a sample counts as much as its
    classes weigh by their shares. The sum is not divided by the weights: they are to be 1 in the mean over the data.
    """

    def __init__(
        self,
        label_smoothing: float = 0.0,
        kind: str = "cross_entropy",
        threshold: float | None = None,
        class_weights: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.label_smoothing, self.kind, self.threshold = label_smoothing, kind, threshold
        self.class_weights: Tensor | None
        self.register_buffer("class_weights", class_weights)

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """logits: B x classes float32; targets: B int64, or B x classes probabilities, not smoothed. Returns a
        scalar."""
        if self.kind == "bce":
            return self.binary(logits, targets)
        return functional.cross_entropy(
            logits, targets, self.class_weights, reduction="sum", label_smoothing=self.label_smoothing
        )

    def binary(self, logits: Tensor, targets: Tensor) -> Tensor:
        classes = logits.shape[1]
        if targets.ndim == 1:
            targets = functional.one_hot(targets, classes)
        shares = targets.to(logits.dtype)
        wanted = shares * (1 - self.label_smoothing) + self.label_smoothing / classes
        if self.threshold is not None:
            wanted = (wanted > self.threshold).to(logits.dtype)
        losses = functional.binary_cross_entropy_with_logits(logits, wanted, reduction="none").mean(dim=1)
        return (losses if self.class_weights is None else losses * (shares @ self.class_weights)).sum()


def build_loss(config: OptimConfig, class_counts: Tensor | None = None) -> Loss:
    """class_counts: pictures of each class in the training split, for balanced weights."""
    weights = balanced(class_counts) if class_counts is not None else None
    return Loss(config.label_smoothing, config.loss, config.bce_threshold, weights)


def balanced(counts: Tensor) -> Tensor:
    """classes float32: n / (classes x count), which is 1 in the mean over the pictures (King and Zeng 2001, "Logistic
    Regression in Rare Events Data"). A class without pictures weighs nothing, and is not counted."""
    present = counts > 0
    weights = counts.sum() / (present.sum() * counts.clamp(min=1).double())
    return torch.where(present, weights, 0.0).float()
