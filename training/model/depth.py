"""Stochastic depth: in training, each sample skips residual branches by chance, deeper ones more often.

Huang et al. 2016, "Deep networks with stochastic depth" (arXiv 1603.09382), per sample.
"""

from torch import Tensor, nn


def skipped(branch: Tensor, chance: float) -> Tensor:
    """B x ... of a residual branch: all of a sample's values zero by that chance, else 1 / (1 - chance) of them.

    Draws from torch's generator of the branch's device, whose state is part of a checkpoint.
    """
    kept = branch.new_empty(len(branch), *[1] * (branch.ndim - 1)).bernoulli_(1 - chance)
    return branch * kept.div_(1 - chance)


def spread(blocks: list[nn.Module], chance: float) -> None:
    """The last block's chance; those before have linearly less (equation 4)."""
    for number, block in enumerate(blocks, 1):
        block.skip_chance = number / len(blocks) * chance  # type: ignore[assignment]
