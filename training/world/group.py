"""This process's rank as a loader needs it: as told, of the process group, or of the launcher."""

from dataclasses import replace

import torch.distributed as dist
from torch.utils.data import get_worker_info

from tarn.sharding.errors import TarnError, UsageError
from tarn.training.world.launchers import told_ranks
from tarn.training.world.ranks import Ranks


def ranks_of(rank: int | None, world_size: int | None) -> Ranks:
    """Raises UsageError where only one is told, they do not go together, or several would serve the same share."""
    if rank is None and world_size is None:
        check_dataloader()
        return ranks_now()
    if rank is None or world_size is None or not 0 <= rank < world_size:
        raise UsageError(f"rank={rank} and world_size={world_size}: give both, with 0 <= rank < world_size, or none.")
    return Ranks(rank, world_size)


def ranks_now() -> Ranks:
    """Of the process group where there is one, else as the launcher tells."""
    if not (dist.is_available() and dist.is_initialized()):
        return told_ranks()
    try:
        told = told_ranks()
    except UsageError:
        told = Ranks()  # the group was made by other means
    return replace(told, rank=dist.get_rank(), size=dist.get_world_size())


def check_against_group(ranks: Ranks) -> None:
    """Raises TarnError where a process group was made since, and says that this is another rank."""
    if dist.is_available() and dist.is_initialized():
        rank, size = dist.get_rank(), dist.get_world_size()
        if (rank, size) != (ranks.rank, ranks.size):
            raise TarnError(
                f"this loader was made as rank {ranks.rank} of {ranks.size}, and the process group says rank {rank} of "
                f"{size}: make it after the process group, or give it rank and world_size."
            )


def check_dataloader() -> None:
    worker = get_worker_info()
    if worker is not None and worker.num_workers > 1:
        raise UsageError(
            f"this loader is made in one of {worker.num_workers} workers of a DataLoader, each of which would serve "
            "all of this rank's samples: give the DataLoader one worker or none, or this loader rank and world_size."
        )
