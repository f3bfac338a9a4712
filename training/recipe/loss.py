"""What a network is told of its answers."""

import torch.nn.functional as functional
from torch import Tensor, nn


class Loss(nn.Module):
    """Cross entropy, summed over the samples.

    label_smoothing: part of the probability that is spread over all classes (Szegedy et al. 2015, arXiv 1512.00567,
    section 7).
    """

    def __init__(self, label_smoothing: float = 0.0) -> None:
        super().__init__()
        self.label_smoothing = label_smoothing

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """logits: B x classes float32; targets: B int64, or B x classes probabilities. Returns a scalar."""
        return functional.cross_entropy(logits, targets, reduction="sum", label_smoothing=self.label_smoothing)
