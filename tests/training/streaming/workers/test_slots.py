"""Slots of page-locked memory, with a device that is made up."""

import gc
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
import torch

from support.loaders import shard_loader
from tarn.sharding.errors import TarnError, UsageError
from tarn.sharding.format.manifest import read_manifest
from tarn.training.streaming import planned
from tarn.training.streaming.config import DataConfig
from tarn.training.streaming.plan import train_plan
from tarn.training.streaming.planned import start_crew
from tarn.training.streaming.processes.shared import anonymous_file
from tarn.training.streaming.workers.memory_limit import check_room, memory_limit
from tarn.training.streaming.workers.page_locked import CudaRegistrar, build_registrar
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
    slots = Slots(file, rows=4, size=(8, 8), registrar=device)
    first = slots.take()
    images, labels, _ = slots.lend(first)
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
    slots = Slots(file, rows=4, size=(8, 8))
    assert slots.take() == 0
    images, labels, _ = slots.lend(0)
    del images, labels
    assert slots.take() == 0


def test_memory_is_locked_once_a_slot_and_unlocked_after_the_last_batch(file: int) -> None:
    device = Device()
    slots = Slots(file, rows=4, size=(8, 8), registrar=device)
    device.done = True
    for _ in range(5):
        images, labels, _ = slots.lend(slots.take())
        address = images.base.ctypes.data
        del images, labels
    assert device.locked == {address: slots.bytes}
    images, labels, _ = slots.lend(slots.take())
    del slots
    assert device.locked
    images[:] = 7
    del images, labels
    assert not device.locked


def test_memory_that_cannot_be_locked_is_told_once_and_used_as_it_is(file: int) -> None:
    device = Device("no more of it", works=1)
    slots = Slots(file, rows=4, size=(8, 8), registrar=device)
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
        Slots(opened.fileno(), rows=4, size=(8, 8)).take()


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


class FailingCuda:
    """Locks nothing; as CUDA does, it holds the error until the check behind a kernel raises it."""

    def __init__(self, fails: bool = True) -> None:
        self.fails, self.calls = fails, list[str]()
        self.error = 0

    def status(self, call: str) -> int:
        self.calls.append(call)
        self.error = 712 if self.fails else self.error
        return self.error

    def register(self, address: int, size: int) -> int:
        return self.status("register")

    def unregister(self, address: int) -> int:
        return self.status("unregister")

    def synchronize(self) -> None:
        self.calls.append("synchronize")

    def launch(self) -> None:
        self.calls.append("launch")
        error, self.error = self.error, 0
        if error:
            raise RuntimeError(f"CUDA error {error}")


def test_an_error_of_locking_is_taken_from_cuda_before_the_trainers_next_kernel_would_raise_it(file: int) -> None:
    cuda = FailingCuda()
    slots = Slots(file, rows=4, size=(8, 8), registrar=CudaRegistrar(torch.device("cuda", 0), cuda))
    assert [slots.take() for _ in range(3)] == [0, 1, 2]
    assert cuda.calls == ["register", "launch"]
    cuda.launch()
    assert slots.warnings == [
        "batches are copied once more, for their memory cannot be page-locked (cudaHostRegister returns 712)."
    ]


def test_a_binding_that_raises_is_a_reason_too_and_nothing_is_asked_of_cuda_where_all_is_well() -> None:
    class Raising(FailingCuda):
        def register(self, address: int, size: int) -> int:
            self.status("register")
            raise RuntimeError("no\nway")

    raising, sound = Raising(), FailingCuda(fails=False)
    assert CudaRegistrar(torch.device("cuda", 0), raising).register(0, 1) == "no way"
    assert raising.error == 0
    registrar = CudaRegistrar(torch.device("cuda", 0), sound)
    assert registrar.register(0, 1) == ""
    registrar.unregister([0, 1])
    assert sound.calls == ["register", "synchronize", "unregister", "unregister"]


def test_unlocking_that_fails_leaves_no_error_either() -> None:
    cuda = FailingCuda()
    CudaRegistrar(torch.device("cuda", 0), cuda).unregister([0])
    assert cuda.calls == ["synchronize", "unregister", "launch"]


@pytest.mark.parametrize("workers", [0, 1])
def test_a_loader_that_is_dropped_unlocks_its_memory_at_once(
    shards: Path, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    device = Device()
    monkeypatch.setattr(planned, "build_registrar", lambda told: (device, []))
    one = shard_loader(str(shards), global_batch=16, image_size=16, num_workers=workers, pin_memory=True)
    gc.collect()
    gc.disable()
    try:
        next(iter(one))
        assert bool(device.locked) == bool(workers)
        children = [child.process for child in one.crew.children]
        del one
        assert not device.locked
        assert all(child.poll() is not None for child in children)
    finally:
        gc.enable()


@pytest.mark.cuda
def test_a_gpu_copies_from_the_slots_themselves(shards: Path) -> None:
    device = torch.device("cuda", 0)
    one = shard_loader(str(shards), global_batch=16, image_size=64, num_workers=2, pin_memory=True, device=device)
    assert one.pool is not None
    for batch in one:
        assert batch.images.is_pinned()
        at = batch.images.data_ptr()
        assert any(start <= at < start + one.pool.slots.bytes for start in one.pool.slots.locked.values())
    assert one.take_warnings() == []
    one.close()


@pytest.mark.cuda
def test_after_memory_that_cuda_refuses_to_lock_its_next_kernel_runs() -> None:
    device, memory = torch.device("cuda", 0), torch.zeros(1 << 20, dtype=torch.uint8)
    registrar = CudaRegistrar(device)
    address = memory.numpy().ctypes.data // 4096 * 4096 + 4096
    assert registrar.register(address, 1 << 16) == ""
    assert registrar.register(address, 1 << 16) == "cudaHostRegister returns 712"
    assert int(torch.ones(8, device=device).sum()) == 8
    registrar.unregister([address])
    registrar.unregister([address])
    assert int(torch.ones(8, device=device).sum()) == 8
