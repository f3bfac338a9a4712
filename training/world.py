"""Ranks and hosts: the only place that divides by them."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import Tensor

from sharding.errors import UsageError


@dataclass(frozen=True, slots=True)
class World:
    """This process among all: its rank, their number, its place on its host, its device."""

    rank: int
    size: int
    local_rank: int
    local_size: int
    device: torch.device
    control: Any = None  # a process group for words between CPUs: it never waits for a GPU's queue

    @property
    def is_main(self) -> bool:
        return self.rank == 0

    def share(self, global_batch: int, lanes: int) -> NDArray[np.int64]:
        """Offsets in a global batch that this rank serves; over all ranks each comes exactly once.

        Whole lanes where the ranks divide them and they divide the batch, so that a rank needs only its own lanes'
        shards; else a contiguous slice.
        """
        offsets = np.arange(global_batch, dtype=np.int64)
        if lanes % self.size == 0 and global_batch % lanes == 0:
            mine = offsets % lanes // (lanes // self.size) == self.rank
            return offsets.compress(mine)
        return offsets[global_batch * self.rank // self.size : global_batch * (self.rank + 1) // self.size]

    def loss_scale(self, global_batch: int) -> float:
        """What a sum of sample losses is multiplied by, so that the mean over ranks is the global batch's mean."""
        return self.size / global_batch

    def cores(self) -> int:
        """CPU cores for this process, when the ranks of the host share them evenly."""
        return max(1, len(os.sched_getaffinity(0)) // self.local_size if hasattr(os, "sched_getaffinity") else 1)

    def sum(self, values: Tensor) -> Tensor:
        """The sum over all ranks of a tensor on the world's device."""
        if self.size > 1:
            dist.all_reduce(values)
        return values

    def any(self, flag: bool) -> bool:
        """Whether the flag is up on any rank: every rank gets the same answer."""
        told = torch.tensor(float(flag))
        if self.size > 1:
            dist.all_reduce(told, group=self.control)
        return bool(told.item() > 0)

    def gather(self, thing: object) -> list[object]:
        """Every rank's thing, in the order of ranks."""
        if self.size == 1:
            return [thing]
        things: list[object] = [None] * self.size
        dist.all_gather_object(things, thing, group=self.control)
        return things

    def broadcast(self, tensors: Iterator[Tensor]) -> None:
        """Rank 0's values into every rank's tensors."""
        if self.size > 1:
            for tensor in tensors:
                dist.broadcast(tensor, src=0)

    def barrier(self) -> None:
        if self.size > 1:
            dist.barrier(group=self.control)


@contextmanager
def joined_world(device: str = "auto", timeout_minutes: int = 30) -> Iterator[World]:
    """The world as torchrun's environment tells it, left again at the end; one rank without torchrun.

    device: auto, cpu, cuda or mps. Raises UsageError for one that is not there.
    """
    rank, size = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    local_rank, local_size = int(os.environ.get("LOCAL_RANK", 0)), int(os.environ.get("LOCAL_WORLD_SIZE", 1))
    world = World(rank, size, local_rank, local_size, choose_device(device, local_rank))
    if world.device.type == "cuda":
        torch.cuda.set_device(world.device)
    elif local_size > 1 or "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(world.cores())
    if size == 1:
        yield world
        return
    backend = "nccl" if world.device.type == "cuda" else "gloo"
    dist.init_process_group(backend, timeout=timedelta(minutes=timeout_minutes))
    try:
        yield replace(world, control=dist.new_group(backend="gloo"))
    finally:
        dist.destroy_process_group()


def choose_device(name: str, local_rank: int) -> torch.device:
    """cuda before mps before cpu for auto. Raises UsageError where the named device is not there."""
    here = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        name = next(kind for kind in ("cuda", "mps", "cpu") if here[kind])
    if not here.get(name, False):
        raise UsageError(f"device={name!r} is not here: choose auto or one of {', '.join(k for k in here if here[k])}.")
    if name != "cuda":
        return torch.device(name)
    if local_rank >= torch.cuda.device_count():
        raise UsageError(
            f"rank {local_rank} of this host has no GPU of its own ({torch.cuda.device_count()} are here): "
            "start at most one process a GPU."
        )
    return torch.device("cuda", local_rank)
