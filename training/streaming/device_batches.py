"""Batches on the device that trains, the next one copied there while a step is taken with this one."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol

import torch

from tarn.training.streaming.batch import Batch

Done = Any  # what tells that a copy is done, in its copier's own terms


class Copier(Protocol):
    """How batches get to a device. is_ahead: whether copies go on while the device does something else."""

    is_ahead: bool

    def lane(self) -> AbstractContextManager[object]:
        """What is told to the device inside of it is told to the copier's own queue."""

    def copied(self, batch: Batch) -> tuple[Batch, Done]:
        """On the device, as soon as its queue says so. Called inside the lane."""

    def hand_over(self, batch: Batch, done: Done) -> None:
        """Called outside: what is told to the device from now on finds the batch there."""


class DirectCopier:
    """Copies when it is asked to, and waits for it; on the CPU batches are what they were.

    Without `non_blocking`: of other devices than CUDA nobody knows when they are done with a slot (workers/slots.py).
    """

    is_ahead = False

    def __init__(self, device: torch.device) -> None:
        self.device = device

    def lane(self) -> AbstractContextManager[object]:
        return nullcontext()

    def copied(self, batch: Batch) -> tuple[Batch, Done]:
        return (batch if self.device.type == "cpu" else batch.to(self.device)), None

    def hand_over(self, batch: Batch, done: Done) -> None:
        pass


class CudaCopier:
    """Copies on a stream of its own. Page-locked batches (pin_memory) are what makes it go on beside the kernels."""

    is_ahead = True

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    def lane(self) -> AbstractContextManager[object]:
        return torch.cuda.stream(self.stream)

    def copied(self, batch: Batch) -> tuple[Batch, Done]:
        there = batch.to(self.device, non_blocking=True)
        done = torch.cuda.Event()  # type: ignore[no-untyped-call]
        done.record(self.stream)
        return there, done

    def hand_over(self, batch: Batch, done: Done) -> None:
        """The memory was taken on the copier's stream: it is used again only when the caller's is done with it."""
        current = torch.cuda.current_stream(self.device)
        current.wait_event(done)
        batch.changed(lambda tensor: recorded(tensor, current))


def recorded(tensor: torch.Tensor, stream: torch.cuda.Stream) -> torch.Tensor:
    tensor.record_stream(stream)
    return tensor


class DeviceBatches(Iterator[Batch]):
    """The same batches in the same order, on the device.

    batches: of a loader; nobody else may ask for more of them. is_ready: whether the next one can be had without
    waiting (PlannedLoader.is_ready): then it is asked for, and its copy begun, before this one is given out. So up to
    one batch more is taken than was given out: count where batches are used, as the trainer does, and not by the
    loader's own state. What goes wrong with a batch is raised where that batch is due.

    A slot's batch is dropped by the loader where it is asked for the next one, hence in the copier's lane: the event
    that frees the slot stands behind the copy, and behind nothing else.
    """

    def __init__(
        self,
        batches: Iterator[Batch],
        device: torch.device,
        is_ready: Callable[[], bool] | None = None,
        copier: Copier | None = None,
    ) -> None:
        self.batches, self.is_ready = batches, is_ready
        self.copier: Copier = copier or build_copier(device)
        self.ahead: tuple[Batch, Done] | Exception | None = None

    def __next__(self) -> Batch:
        brought, self.ahead = self.ahead or self.bring(), None
        if isinstance(brought, Exception):
            try:
                raise brought
            finally:
                del brought  # it knows this frame, which would hold the loader
        if self.copier.is_ahead and self.is_ready is not None and self.is_ready():
            self.ahead = self.bring()
        self.copier.hand_over(*brought)
        return brought[0]

    def bring(self) -> tuple[Batch, Done] | Exception:
        with self.copier.lane():
            try:
                return self.copier.copied(next(self.batches))
            except Exception as error:  # StopIteration, too
                return error


def build_copier(device: torch.device) -> Copier:
    return CudaCopier(device) if device.type == "cuda" else DirectCopier(device)
