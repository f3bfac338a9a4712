"""A rank that is lost, as the others notice: their next word to it fails."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch.distributed as dist

from tarn.training.world.failure import LostRankError


@contextmanager
def told_of_loss(rank: int) -> Iterator[None]:
    """Raises LostRankError for what gloo, NCCL and the store raise when the process at the other end is gone."""
    try:
        yield
    except RuntimeError as error:
        text = " ".join(str(error).split())
        if not isinstance(error, dist.DistError) and "gloo" not in text:
            raise
        raise LostRankError(
            f"rank {rank} lost another rank ({text.rpartition('] ')[2][:120]}): see which ended first, and why."
        ) from error
