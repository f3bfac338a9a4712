"""Slots of page-locked memory, with a device that is made up."""

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from tarn.sharding.errors import TarnError, UsageError
from tarn.sharding.format.manifest import read_manifest
from tarn.training.streaming.config import DataConfig
from tarn.training.streaming.plan import train_plan
from tarn.training.streaming.planned import start_crew
from tarn.training.streaming.processes.shared import anonymous_file
from tarn.training.streaming.workers.memory_limit import check_room, memory_limit
from tarn.training.streaming.workers.page_locked import build_registrar
from tarn.training.streaming.workers.pool import WorkerPool
from tarn.training.streaming.workers.slots import Slots
from tarn.training.world.ranks import Ranks


class Device:
    """Is done with what it was told when `done` says so. reason: why it locks nothing."""

    def __init__(self, reason: str = "", works: int = 100) -> None:
        self.reason, self.works = reason, works
        self.locked: dict[int, int] = {}
        self.done = False
        self.marks = 0

    def register(self, address: int, size: int) -> str:
        if len(self.locked) >= self.works:
            return self.reason
        self.locked[address] = size
        return ""

    def unregister(self, addresses: Sequence[int]) -> None:
        for address in addresses:
            del self.locked[address]

    def mark(self) -> Callable[[], bool]:
        self.marks += 1
        return lambda: self.done


@pytest.fixture
def file() -> Iterator[int]:
    made = anonymous_file(0)
    yield made
    os.close(made)


def test_a_slot_is_free_only_when_the_copies_from_it_are_done(file: int) -> None:
    device = Device()
    slots = Slots(file, rows=4, side=8, registrar=device)
    first = slots.take()
    images, labels = slots.lend(first)
    part = images[:2]
    del images, labels
    assert device.marks == 0
    del part
    assert device.marks == 1
    assert slots.take() == 1
    device.done = True
    assert slots.take() == first
    assert slots.take() == 2


def test_plain_slots_are_free_at_once(file: int) -> None:
    slots = Slots(file, rows=4, side=8)
    assert slots.take() == 0
    images, labels = slots.lend(0)
    del images, labels
    assert slots.take() == 0


def test_memory_is_locked_once_a_slot_and_unlocked_after_the_last_batch(file: int) -> None:
    device = Device()
    slots = Slots(file, rows=4, side=8, registrar=device)
    device.done = True
    for _ in range(5):
        images, labels = slots.lend(slots.take())
        address = images.base.ctypes.data
        del images, labels
    assert device.locked == {address: slots.bytes}
    images, labels = slots.lend(slots.take())
    del slots
    assert device.locked
    images[:] = 7
    del images, labels
    assert not device.locked


def test_memory_that_cannot_be_locked_is_told_once_and_used_as_it_is(file: int) -> None:
    device = Device("no more of it", works=1)
    slots = Slots(file, rows=4, side=8, registrar=device)
    assert [slots.take() for _ in range(4)] == [0, 1, 2, 3]
    (warning,) = slots.warnings
    assert "no more of it" in warning
    for slot in range(4):
        slots.lend(slot)
    assert device.marks == 1
    assert list(slots.free) == [1, 2, 3]


def test_batches_in_locked_slots_are_not_written_over_while_they_are_copied(shards: Path) -> None:
    data = DataConfig(shards=str(shards), image_size=16, lanes=4, active_shards=4)
    plan = train_plan(data, read_manifest(str(shards)), Ranks(), 3, 24, None)
    device, crew = Device(), start_crew(1)
    pool = WorkerPool(plan, crew, None, lambda done: None, device)
    places = [(0, step, 0) for step in range(plan.steps)]
    seen = []
    for lent in pool.batches(places, lambda: None):
        seen.append((pool.slots.locked[len(seen)], lent.images.copy()))
        del lent
    for slot, (_, images) in enumerate(seen):
        assert (pool.slots.lend(slot)[0] == images).all()
    crew.close()


def test_a_file_that_cannot_grow_is_told_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "read-only"
    path.touch()
    with path.open("rb") as opened, pytest.raises(TarnError, match=r"no memory for batch 1 .*lower data\.prefetch"):
        Slots(opened.fileno(), rows=4, side=8).take()


def test_without_a_gpu_memory_is_left_plain_with_a_warning() -> None:
    registrar, warnings = build_registrar(None)
    assert (registrar is None) == bool(warnings)


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_the_lowest_limit_of_the_groups_above_counts(tmp_path: Path) -> None:
    groups, own = tmp_path / "cgroup", tmp_path / "own"
    assert memory_limit(groups, own) is None
    write(groups / "memory.max", "max\n")
    assert memory_limit(groups, own) is None
    write(own, "0::/jobs/mine\n")
    write(groups / "jobs" / "memory.max", "4000000000\n")
    write(groups / "jobs" / "mine" / "memory.max", "max\n")
    assert memory_limit(groups, own) == 4_000_000_000


def test_limits_of_version_1_are_read_too(tmp_path: Path) -> None:
    groups, own = tmp_path / "cgroup", tmp_path / "own"
    write(own, "5:cpu,cpuacct:/a\n4:memory:/a\n")
    write(groups / "memory" / "memory.limit_in_bytes", f"{2**63 - 4096}\n")
    write(groups / "memory" / "a" / "memory.limit_in_bytes", "2000000\n")
    assert memory_limit(groups, own) == 2_000_000


def test_batches_that_do_not_fit_into_memory_are_refused_and_many_are_told() -> None:
    assert check_room(10**9, 8, None) == []
    assert check_room(10**9, 2, 16 * 10**9) == []
    (warning,) = check_room(10**9, 8, 12 * 10**9)
    assert "1 GB a rank, 8 on this host" in warning
    assert "lower data.prefetch" in warning
    with pytest.raises(UsageError, match=r"do not fit into the 6 GB .*lower data\.prefetch"):
        check_room(10**9, 8, 6 * 10**9)
