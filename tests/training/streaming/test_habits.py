"""Where an iteration begins, by the habits that people and their frameworks have with loaders."""

import copy
import itertools
import os
import pickle
import signal
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from support.loaders import shard_loader
from tarn.sharding.errors import TarnError, UsageError
from tarn.training.streaming import Batch, ShardLoader

EPOCHS = 3
STEPS = 7

Keys = list[tuple[str, ...]]


def loader(shards: Path, **more: Any) -> ShardLoader:
    settings = {"global_batch": 16, "image_size": 16, "lanes": 4, "active_shards": 4, "keys": True, "num_workers": 1}
    return shard_loader(str(shards), **{**settings, **more})


def keys(batches: Iterable[Batch]) -> Keys:
    return [batch.keys for batch in batches]


def by_loop(one: ShardLoader) -> Iterable[Batch]:
    return list(one)


def by_islice(one: ShardLoader) -> Iterable[Batch]:
    return itertools.islice(one, len(one))


def by_zip(one: ShardLoader) -> Iterable[Batch]:
    """The loader as the second: it is not asked for more than there is of the first."""
    return (batch for _, batch in zip(range(len(one)), one, strict=False))


def by_next(one: ShardLoader) -> Iterable[Batch]:
    batches = iter(one)
    return [next(batches) for _ in range(len(one))]


def by_enumerate_and_break(one: ShardLoader) -> Iterator[Batch]:
    for step, batch in enumerate(one):
        yield batch
        if step == len(one) - 1:
            break


def after_a_look(one: ShardLoader) -> Iterable[Batch]:
    """The first batch is looked at, for its shape, and then the epoch is iterated."""
    next(iter(one))
    return list(one)


HABITS: list[Callable[[ShardLoader], Iterable[Batch]]] = [
    by_loop, by_islice, by_zip, by_next, by_enumerate_and_break, after_a_look,
]  # fmt: skip


@pytest.fixture(scope="module")
def epochs(shards: Path) -> list[Keys]:
    one = loader(shards)
    found = []
    for epoch in range(EPOCHS + 1):
        one.set_epoch(epoch)
        found.append(keys(one))
    one.close()
    return found


@pytest.mark.parametrize("habit", HABITS)
def test_every_pass_is_the_next_epoch(shards: Path, epochs: list[Keys], habit: Callable[..., Iterable[Batch]]) -> None:
    one = loader(shards)
    assert len(one) == STEPS
    assert [keys(habit(one)) for _ in range(EPOCHS)] == epochs[:EPOCHS]
    assert one.epoch == EPOCHS
    one.close()


@pytest.mark.parametrize("habit", HABITS)
def test_a_state_saved_after_a_pass_goes_on_with_the_next_epoch(
    shards: Path, epochs: list[Keys], habit: Callable[..., Iterable[Batch]]
) -> None:
    one, other = loader(shards), loader(shards)
    list(habit(one))
    other.load_state_dict(one.state_dict())
    assert keys(habit(other)) == epochs[1]
    one.close()
    other.close()


def test_an_epoch_that_was_left_begins_again(shards: Path, epochs: list[Keys]) -> None:
    one = loader(shards)
    assert keys(itertools.islice(one, 3)) == epochs[0][:3]
    assert keys(one) == epochs[0]
    assert keys(one) == epochs[1]
    one.close()


def test_a_loaded_place_holds_until_its_epoch_is_done(shards: Path, epochs: list[Keys]) -> None:
    one, other = loader(shards), loader(shards)
    list(itertools.islice(one, 3))
    other.load_state_dict(one.state_dict())
    next(iter(other))  # a look
    other.set_epoch(0)
    assert keys(other) == epochs[0][3:]
    assert keys(other) == epochs[1]
    other.load_state_dict(one.state_dict())
    other.set_epoch(2)
    assert keys(other) == epochs[2]
    one.close()
    other.close()


@pytest.mark.parametrize("workers", [0, 1])
def test_an_epoch_that_is_set_within_a_loop_is_the_next_ones(shards: Path, epochs: list[Keys], workers: int) -> None:
    one = loader(shards, num_workers=workers)
    for step, _ in enumerate(one):
        if step == 4:
            one.set_epoch(2)
    assert one.state_dict()["epoch"] == 2
    assert keys(one) == epochs[2]
    one.close()


def test_evaluation_gives_every_picture_each_time(shards: Path) -> None:
    one = loader(shards, split="val", train=False)
    for _ in one:
        break
    assert sum(len(batch.labels) for batch in one) == 40
    list(itertools.islice(one, 1))
    one.load_state_dict(one.state_dict())
    assert sum(len(batch.labels) for batch in one) == 40
    one.close()


@pytest.mark.parametrize("workers", [0, 1])
def test_a_closed_loader_says_so_and_touches_nobodys_files(shards: Path, tmp_path: Path, workers: int) -> None:
    one, other = loader(shards, num_workers=workers), loader(shards, num_workers=workers)
    batches = iter(other)
    kept = next(batches)
    sums = int(kept.images.sum())
    one.close()
    other.close()
    files = [(tmp_path / str(number)).open("w+b", buffering=0) for number in range(12)]  # their numbers are free again
    for file in files:
        file.write(b"x" * 100_000)
    for asked in (iter(one), batches):
        with pytest.raises(TarnError, match=r"this loader is closed: make another one"):
            next(asked)
    assert [Path(file.name).stat().st_size for file in files] == [100_000] * 12
    assert int(kept.images.sum()) == sums  # a batch is its owner's
    for file in files:
        file.close()


@pytest.mark.parametrize("how", [copy.copy, copy.deepcopy, pickle.dumps])
def test_a_loader_refuses_to_be_copied_and_works_on(
    shards: Path, epochs: list[Keys], how: Callable[[object], object]
) -> None:
    one = loader(shards)
    with pytest.raises(TypeError, match=r"ShardLoader cannot be pickled or copied.*state_dict"):
        how(one)
    assert keys(one) == epochs[0]
    one.close()


@pytest.mark.parametrize("workers", [0, 1])
def test_a_fork_is_told_to_make_its_own_loader_and_the_parents_batches_stay_right(
    shards: Path, epochs: list[Keys], workers: int
) -> None:
    one = loader(shards, num_workers=workers)
    batches = iter(one)
    first = next(batches).keys
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        told = b"it works"
        try:
            for asked in (batches, iter(one)):
                try:
                    next(asked)
                except TarnError as error:
                    told = str(error).encode()
            one.close()
        finally:
            os.write(writing, told)
            os._exit(0)
    os.close(writing)
    os.waitpid(child, 0)
    assert "make it in the process that iterates it" in os.read(reading, 4096).decode()
    os.close(reading)
    assert [first, *keys(batches)] == epochs[0]
    one.close()


class Around(torch.utils.data.IterableDataset[Any]):
    """What people write to put any loader into torch's DataLoader."""

    def __init__(self, make: Callable[[], ShardLoader], early: bool) -> None:
        self.make, self.one = make, make() if early else None

    def __iter__(self) -> Iterator[Any]:
        one = self.one or self.make()
        for batch in one:
            yield " ".join(batch.keys)
        one.close()


@pytest.mark.filterwarnings("ignore:This DataLoader will create")  # torch's, where there is one core
def test_in_a_dataloaders_worker_a_loader_works_where_it_is_made_there_and_says_so_where_not(
    shards: Path, epochs: list[Keys]
) -> None:
    def around(early: bool, workers: int) -> Iterable[Any]:
        made = Around(lambda: loader(shards), early)
        context = "fork" if workers else None
        return torch.utils.data.DataLoader(made, None, num_workers=workers, multiprocessing_context=context)

    wanted = [" ".join(batch) for batch in epochs[0]]
    assert list(around(early=False, workers=1)) == list(around(early=True, workers=0)) == wanted
    with pytest.raises(TarnError, match="make it in the process that iterates it"):
        list(around(early=True, workers=1))
    with pytest.raises(TarnError, match=r"2 workers.*rank and world_size"):
        list(around(early=False, workers=2))


def test_a_forked_child_ends_without_ending_the_loaders_processes(shards: Path, epochs: list[Keys]) -> None:
    one = loader(shards)
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(60)
        del one  # as at a normal end
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert keys(one) == epochs[0]
    one.close()


def test_a_state_that_is_loaded_within_an_iteration_is_not_passed_over(shards: Path) -> None:
    one = loader(shards)
    batches = iter(one)
    told = one.state_dict()
    first = next(batches).keys
    one.load_state_dict(told)
    with pytest.raises(TarnError, match=r"loaded in the middle of this iteration.*begin another one"):
        next(batches)
    assert next(iter(one)).keys == first
    one.close()


def test_going_back_by_loading_and_leaving_the_loop_works(shards: Path) -> None:
    """As after a step whose loss is no number."""
    one, seen, told = loader(shards), list[tuple[str, ...]](), dict[str, object]()
    for batch in one:
        seen.append(batch.keys)
        if batch.step == 1:
            told = one.state_dict()
        if batch.step == 3:
            one.load_state_dict(told)
            break
    assert keys(one)[:2] == seen[2:]
    one.close()


@pytest.mark.parametrize("told", [None, {}, {"model": 1, "step": 2}])
def test_what_is_no_state_is_refused_in_one_sentence(shards: Path, told: Any) -> None:
    one = loader(shards)
    with pytest.raises(UsageError, match=r"is no state of a stream: give load_state_dict\(\) what state_dict\(\)"):
        one.load_state_dict(told)
    one.close()


def test_a_loader_in_a_with_statement_is_closed_behind_it(shards: Path) -> None:
    with loader(shards) as one:
        assert len(keys(one)) == STEPS
    with pytest.raises(TarnError, match="this loader is closed"):
        keys(one)


def test_a_dataloader_around_a_loader_is_told_of_the_face_that_it_wants(shards: Path) -> None:
    with loader(shards) as one, pytest.raises(TypeError, match=r"gives whole batches in its order.*ShardDataLoader"):
        next(iter(torch.utils.data.DataLoader(one, batch_size=4)))  # type: ignore[arg-type]


def test_a_batch_shows_shapes_and_no_pixels(shards: Path) -> None:
    with loader(shards) as one:
        batch = next(iter(one))
    assert repr(batch) == "Batch(images: uint8 16 x 16 x 16 x 3, labels: int64 16)"
    assert "\n" not in repr(batch.to("cpu"))


@pytest.mark.parametrize("told", ["1", -1, 0.5, None])
def test_an_epoch_that_is_no_number_is_refused(shards: Path, told: Any) -> None:
    with loader(shards) as one, pytest.raises(UsageError, match="an epoch is a whole number of at least 0"):
        one.set_epoch(told)
