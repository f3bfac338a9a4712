"""Loaders behind torch's DataLoader and torchdata's StatefulDataLoader."""

import importlib.util
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from torch.utils.data import DataLoader

from support.loaders import shard_loader
from tarn.sharding.errors import TarnError
from tarn.training.adapters.dataloader import ShardDataLoader
from tarn.training.adapters.iterable import ShardDataset
from tarn.training.streaming import Batch, ShardLoader


def loader(shards: Path, **more: Any) -> ShardLoader:
    settings = {"global_batch": 16, "image_size": 16, "lanes": 4, "active_shards": 4, "keys": True, "num_workers": 0}
    return shard_loader(str(shards), **{**settings, **more})


def keys_of(batch: Batch) -> tuple[str, ...]:
    return batch.keys


def two_epochs(shards: Path, **more: Any) -> list[tuple[str, ...]]:
    alone = loader(shards, **more)
    return [batch.keys for _ in range(2) for batch in alone]


@pytest.mark.parametrize("micro_batch", [None, 5])
@pytest.mark.parametrize("steps", [0, 3, 7])  # of 7
def test_a_dataloader_gives_the_loaders_batches_and_goes_on_by_its_state(
    shards: Path, steps: int, micro_batch: int | None
) -> None:
    expected = two_epochs(shards, micro_batch=micro_batch)
    parts = len(expected) // 14
    first = ShardDataLoader(loader(shards, micro_batch=micro_batch), keys_of)
    assert isinstance(first, DataLoader)
    assert len(first) == 7 * parts
    given = list(islice(first, steps * parts))
    state = first.state_dict()
    second = ShardDataLoader(loader(shards, micro_batch=micro_batch), keys_of)
    second.load_state_dict(state)
    assert second.state_dict() == state
    rest = list(second)
    if steps < 7:
        rest += list(second)
    assert given + rest == expected


def test_an_epoch_left_early_begins_again_and_another_one_is_set(shards: Path) -> None:
    expected = two_epochs(shards)
    batches = ShardDataLoader(loader(shards), keys_of)
    assert next(iter(batches)) == next(iter(batches)) == expected[0]
    batches.set_epoch(1)
    assert list(batches) == expected[7:]


def test_what_is_told_within_an_iteration_holds_for_the_next_one(shards: Path) -> None:
    expected = two_epochs(shards)
    batches = ShardDataLoader(loader(shards), keys_of)
    given = []
    for keys in batches:
        given.append(keys)
        if len(given) == 3:
            kept = batches.state_dict()
        if len(given) == 5:
            batches.set_epoch(1)
    assert given == expected[:7]
    assert (batches.state_dict()["epoch"], batches.state_dict()["samples"]) == (1, 0)
    for step, _ in enumerate(batches):
        if step == 4:
            batches.load_state_dict(kept)
    assert list(batches) == expected[3:7]


def test_two_iterations_side_by_side_give_the_same_and_the_newer_one_counts(shards: Path) -> None:
    expected = two_epochs(shards)
    batches = ShardDataLoader(loader(shards), keys_of)
    older = iter(batches)
    assert next(older) == expected[0]
    newer = iter(batches)
    for step in range(3):
        assert (next(newer), next(older)) == (expected[step], expected[step + 1])
    assert batches.state_dict()["samples"] == 3 * 16


def test_a_state_of_another_stream_is_refused_by_name(shards: Path) -> None:
    state = ShardDataLoader(loader(shards, global_batch=8)).state_dict()
    with pytest.raises(TarnError, match=r"global_batch=8, this run has 16"):
        ShardDataLoader(loader(shards)).load_state_dict(state)


@pytest.mark.skipif(importlib.util.find_spec("torchdata") is None, reason="the extra interop is not installed")
@pytest.mark.filterwarnings("ignore")  # torchdata's own
def test_torchdatas_stateful_dataloader_goes_on_by_its_own_state(shards: Path) -> None:
    from torchdata.stateful_dataloader import StatefulDataLoader

    expected = two_epochs(shards)
    first = StatefulDataLoader(ShardDataset(loader(shards), keys_of), batch_size=None)
    assert len(first) == 7
    given = list(islice(first, 3))
    second = StatefulDataLoader(ShardDataset(loader(shards), keys_of), batch_size=None)
    second.load_state_dict(first.state_dict())
    assert [tuple(keys) for keys in given + list(second) + list(second)] == expected  # lists: torch's default_convert


@pytest.mark.skipif(importlib.util.find_spec("torchdata") is None, reason="the extra interop is not installed")
@pytest.mark.filterwarnings("ignore")  # torchdata's own, of its uses of torch
def test_a_stateful_dataloaders_state_goes_on_with_another_number_of_ranks(shards: Path) -> None:
    """Two ranks, then three, then one: each of a state of the first rank before."""
    from torchdata.stateful_dataloader import StatefulDataLoader

    def ranks(size: int, state: Any) -> list[Any]:
        found = []
        for rank in range(size):
            mine = loader(shards, rank=rank, world_size=size)
            found.append(StatefulDataLoader(ShardDataset(mine, keys_of), batch_size=None))
            if state is not None:
                found[-1].load_state_dict(state)
        return found

    seen, state = list[set[str]](), None
    for size, steps in ((2, 2), (3, 2), (1, 3)):
        loaders = ranks(size, state)
        for shares in zip(*[list(islice(each, steps)) for each in loaders], strict=True):
            seen.append({key for share in shares for key in share})
        state = loaders[0].state_dict()
    assert seen == [set(keys) for keys in two_epochs(shards)[:7]]


@pytest.mark.filterwarnings("ignore")  # Python's and torch's, of forks
def test_a_dataloader_with_workers_around_a_loader_is_refused(shards: Path) -> None:
    with pytest.raises(TarnError, match="put no DataLoader with workers around it"):
        next(
            iter(
                DataLoader(ShardDataset(loader(shards)), batch_size=None, num_workers=1, multiprocessing_context="fork")
            )
        )
