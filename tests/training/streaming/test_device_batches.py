"""Batches brought to a device one ahead, with a device that is made up: it does what it was told when it is made to."""

import ctypes
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from support.loaders import shard_loader
from tarn.training.streaming import planned
from tarn.training.streaming.batch import Batch
from tarn.training.streaming.device_batches import Copier, DeviceBatches

CPU = torch.device("cpu")


def numbered(count: int) -> Iterator[Batch]:
    for step in range(count):
        yield Batch(torch.full((2, 1, 1, 3), step, dtype=torch.uint8), torch.tensor([step, step]), step, True)


class LateDevice:
    """Copies are queued by address, as a GPU's are: nothing but the registrar's marks keeps the memory for them."""

    is_ahead = True

    def __init__(self, lateness: int) -> None:
        self.lateness = lateness  # copies that the queue may hold
        self.queue: list[Callable[[], object]] = []
        self.told = self.done = 0

    def work(self, until: int) -> None:
        while self.done < until:
            self.queue.pop(0)()
            self.done += 1

    def tell(self, order: Callable[[], object]) -> int:
        self.queue.append(order)
        self.told += 1
        self.work(self.told - self.lateness)
        return self.told

    def lane(self) -> AbstractContextManager[object]:
        return nullcontext()

    def copied(self, batch: Batch) -> tuple[Batch, object]:
        there, at = [], 0
        for tensor in (batch.images, batch.labels):
            there.append(torch.empty_like(tensor))
            at = self.tell(copy(there[-1], tensor.data_ptr(), tensor.nbytes))
        return replace(batch, images=there[0], labels=there[1]), at

    def hand_over(self, batch: Batch, done: object) -> None:
        assert isinstance(done, int)
        self.work(done)

    def register(self, address: int, size: int) -> str:
        return ""

    def unregister(self, addresses: Sequence[int]) -> None:
        self.work(self.told)

    def mark(self) -> Callable[[], bool]:
        at = self.told
        return lambda: self.done >= at


def copy(there: torch.Tensor, address: int, size: int) -> Callable[[], object]:
    return lambda: ctypes.memmove(there.data_ptr(), address, size)


@pytest.mark.parametrize("workers", [1, 2])
def test_batches_are_those_of_the_loader_though_copies_come_late(
    shards: Path, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    device = LateDevice(lateness=6)
    plain = shard_loader(str(shards), global_batch=8, image_size=16, num_workers=0, keys=True)
    monkeypatch.setattr(planned, "build_registrar", lambda told: (device, []))
    monkeypatch.setattr(Batch, "pin_memory", lambda batch: batch)  # slots are locked, as far as this device knows
    one = shard_loader(str(shards), global_batch=8, image_size=16, num_workers=workers, keys=True, pin_memory=True)
    copier: Copier = device
    for epoch in range(4):
        brought = DeviceBatches(one.batches(epoch), CPU, one.is_ready, copier)
        for ours, theirs in zip(brought, plain.batches(epoch), strict=True):
            assert (ours.keys, ours.step, ours.last) == (theirs.keys, theirs.step, theirs.last)
            assert torch.equal(ours.images, theirs.images)
            assert torch.equal(ours.labels, theirs.labels)
    assert one.pool is not None
    assert len(one.pool.slots.maps) <= one.pool.ahead + 6
    one.close()


def test_the_next_batch_is_asked_for_only_where_it_is_ready_and_its_copy_is_begun_before_this_one_is_given() -> None:
    device, ready, taken = LateDevice(lateness=100), [True, False, True], list[int]()

    def source() -> Iterator[Batch]:
        for batch in numbered(4):
            taken.append(batch.step)
            yield batch

    brought = DeviceBatches(source(), CPU, lambda: ready.pop(0), device)
    assert next(brought).step == 0
    assert taken == [0, 1]
    assert (device.told, device.done) == (4, 2)
    assert next(brought).step == 1
    assert taken == [0, 1]
    assert next(brought).step == 2
    assert taken == [0, 1, 2, 3]


def test_what_goes_wrong_with_a_batch_is_raised_where_it_is_due() -> None:
    def source() -> Iterator[Batch]:
        yield from numbered(2)
        raise ValueError("the third")

    brought = DeviceBatches(source(), CPU, lambda: True, LateDevice(lateness=2))
    assert [next(brought).step, next(brought).step] == [0, 1]
    with pytest.raises(ValueError, match="the third"):
        next(brought)
    with pytest.raises(StopIteration):
        next(brought)


def test_on_the_cpu_batches_are_passed_on_as_they_are_and_none_is_taken_early() -> None:
    batches = list(numbered(3))
    source = iter(batches)
    brought = DeviceBatches(source, CPU, lambda: True)
    assert next(brought) is batches[0]
    assert next(source) is batches[1]
    assert list(brought) == batches[2:]


def test_another_device_is_waited_for() -> None:
    """Nobody tells when it is done with a slot, so the copy may not go on behind the caller's back."""
    (batch,) = DeviceBatches(numbered(1), torch.device("meta"))
    assert batch.images.device.type == batch.labels.device.type == "meta"


class Told:
    """torch.cuda without a GPU: what it is told, in its order, and on which stream."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.lines, self.streams, self.events = list[str](), ["main"], 0
        for name in ("stream", "current_stream", "Stream", "Event"):
            monkeypatch.setattr(torch.cuda, name, getattr(self, name))
        monkeypatch.setattr(Batch, "to", lambda batch, device, non_blocking: self.copied(batch, non_blocking))

    def say(self, line: str) -> None:
        self.lines.append(f"{self.streams[-1]}: {line}")

    def Stream(self, device: torch.device) -> str:  # noqa: N802
        return "copier"

    @contextmanager
    def stream(self, stream: str) -> Iterator[None]:
        self.streams.append(stream)
        yield
        self.streams.pop()

    def current_stream(self, device: torch.device) -> SimpleNamespace:
        return SimpleNamespace(name=self.streams[-1], wait_event=lambda event: self.say(f"wait for {event.name}"))

    def Event(self) -> SimpleNamespace:  # noqa: N802
        self.events += 1
        name = f"event {self.events}"
        return SimpleNamespace(name=name, record=lambda stream: self.say(f"{name} on {stream}"))

    def copied(self, batch: Batch, non_blocking: bool) -> SimpleNamespace:
        self.say(f"copy {batch.step}, {non_blocking=}")
        kept = SimpleNamespace(record_stream=lambda stream: self.say(f"{batch.step} is used by {stream.name}"))
        return SimpleNamespace(changed=lambda change: [change(kept), change(kept)], step=batch.step)


def test_the_loader_is_asked_on_the_copiers_stream_and_the_trainers_waits_for_no_other_copy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told = Told(monkeypatch)

    def source() -> Iterator[Batch]:
        for batch in numbered(2):
            told.say(f"take {batch.step}")
            yield batch

    brought = DeviceBatches(source(), torch.device("cuda", 0), lambda: True)
    assert next(brought).step == 0
    ahead = [f"copier: {line}" for line in ("take 1", "copy 1, non_blocking=True", "event 2 on copier")]
    used = [f"main: {line}" for line in ("wait for event 1", "0 is used by main", "0 is used by main")]
    assert told.lines[:3] == ["copier: take 0", "copier: copy 0, non_blocking=True", "copier: event 1 on copier"]
    assert told.lines[3:] == [*ahead, *used]
    assert next(brought).step == 1
    assert told.lines[9:] == ["main: wait for event 2", "main: 1 is used by main", "main: 1 is used by main"]


@pytest.mark.cuda
@pytest.mark.parametrize("pin_memory", [True, False])
def test_batches_on_a_gpu_are_those_of_the_loader_while_kernels_are_slow(shards: Path, pin_memory: bool) -> None:
    device = torch.device("cuda", 0)
    plain = shard_loader(str(shards), global_batch=16, image_size=64, num_workers=0)
    one = shard_loader(str(shards), global_batch=16, image_size=64, num_workers=2, pin_memory=pin_memory, device=device)
    for epoch in range(3):
        sums, wanted = [], []
        for batch in DeviceBatches(one.batches(epoch), device, one.is_ready):
            assert batch.images.device == device
            torch.cuda._sleep(20_000_000)  # about 10 ms: the loader is far ahead
            sums.append(batch.images.long() * torch.arange(batch.images.numel(), device=device).view_as(batch.images))
            sums[-1] = torch.stack([sums[-1].sum(), batch.labels.sum()])
        for batch in plain.batches(epoch):
            places = torch.arange(batch.images.numel()).view_as(batch.images)
            wanted.append([int((batch.images.long() * places).sum()), int(batch.labels.sum())])
        assert torch.stack(sums).tolist() == wanted
    assert one.pool is not None
    assert len(one.pool.slots.maps) <= one.pool.ahead + 8
    one.close()
