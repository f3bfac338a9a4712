"""The process group: ranks with devices, and what they tell each other."""

import os
import pickle
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.rendezvous import rendezvous

from tarn.sharding.errors import UsageError
from tarn.training.world.launchers import meeting_place, told_ranks
from tarn.training.world.loss import told_of_loss
from tarn.training.world.numerics import compute_threads
from tarn.training.world.orphans import leave_with_launcher
from tarn.training.world.ranks import Ranks
from tarn.training.world.rendezvous import fresh_store

# Tensors that were handed to gloo lately are kept. Its thread may be the last to let go of one, for which it needs
# the interpreter lock; in torch 2.6 the group's end waits for that thread while it holds the lock, for ever.
SAID = 64


@dataclass(frozen=True, slots=True)
class World(Ranks):
    """This process among all, with its device and the means to talk to the others. said: what it told them lately."""

    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    control: Any = None  # a process group for words between CPUs: it never waits for a GPU's queue
    said: deque[Tensor] = field(default_factory=lambda: deque(maxlen=SAID))

    @property
    def precise(self) -> torch.dtype:
        """For sums over many samples on the device: float64, which Apple's GPUs do not have."""
        return torch.float32 if self.device.type == "mps" else torch.float64

    def sum(self, values: Tensor) -> Tensor:
        """The sum over all ranks of a tensor on the world's device."""
        if self.size > 1:
            self.said.append(values)
            dist.all_reduce(values)
        return values

    def any(self, flag: bool) -> bool:
        """Whether the flag is up on any rank: every rank gets the same answer."""
        told = torch.tensor(float(flag))
        if self.size > 1:
            self.said.append(told)
            dist.all_reduce(told, group=self.control)
        return bool(told.item() > 0)

    def gather(self, thing: object) -> list[object]:
        """Every rank's thing, in the order of ranks."""
        if self.size == 1:
            return [thing]
        mine = torch.frombuffer(bytearray(pickle.dumps(thing)), dtype=torch.uint8)
        sizes = [torch.zeros(1, dtype=torch.int64) for _ in range(self.size)]
        self.exchange(sizes, torch.tensor([len(mine)]))
        texts = [torch.empty(int(max(sizes)), dtype=torch.uint8) for _ in sizes]
        self.exchange(texts, nn.functional.pad(mine, (0, int(max(sizes)) - len(mine))))
        return [pickle.loads(text[: int(size)].numpy().tobytes()) for text, size in zip(texts, sizes, strict=True)]

    def exchange(self, theirs: list[Tensor], mine: Tensor) -> None:
        """Every rank's tensor, all of the same size, into the tensors of the list."""
        self.said.extend((*theirs, mine))
        dist.all_gather(theirs, mine, group=self.control)

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
    """The world as the launcher's environment tells it (launchers.py), left again at the end; else one rank.

    device: auto, cpu, cuda or mps. Raises UsageError for one that is not there.
    """
    ranks = told_ranks()
    world = World(ranks.rank, ranks.size, ranks.local_rank, ranks.local_size, choose_device(device, ranks.local_rank))
    threads = None
    if world.device.type == "cuda":
        torch.cuda.set_device(world.device)
    elif world.local_size > 1 or "OMP_NUM_THREADS" not in os.environ:
        threads = world.cores()
    with compute_threads(threads), joined_group(world, timeout_minutes) as joined:
        yield joined


@contextmanager
def joined_group(world: World, timeout_minutes: int) -> Iterator[World]:
    """The same world with its process group, where it has several ranks."""
    stay = leave_with_launcher()
    if world.size == 1:
        try:
            yield world
        finally:
            stay()
        return
    backend = "nccl" if world.device.type == "cuda" else "gloo"
    timeout = timedelta(minutes=timeout_minutes)
    store, rank, size = next(rendezvous(meeting_place(), rank=world.rank, world_size=world.size, timeout=timeout))
    store = fresh_store(store, rank, size, timeout.total_seconds())
    dist.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=timeout)
    is_well = False
    try:
        with told_of_loss(rank):
            yield replace(world, control=dist.new_group(backend="gloo"))
        is_well = True
    finally:
        # NCCL's end waits for the GPU's queue, in which a rank that failed may wait for the others, and they for it,
        # while its error stays untold: the launcher ends them once this process is gone.
        if is_well or backend == "gloo":
            dist.destroy_process_group()
        stay()


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
