"""Repeated augmentation: which picture stands where, how often, and whose crops."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.loaders import shard_loader
from support.web import served
from tarn.sharding.errors import TarnError, UsageError
from tarn.training.streaming import OrderConfig, ShardLoader
from tarn.training.streaming.repeats import unrepeated

Given = tuple[tuple[str, ...], bytes]


def loader(shards: Path | str, workers: int = 0, **more: object) -> ShardLoader:
    settings = {"global_batch": 24, "image_size": 16, "lanes": 4, "active_shards": 4, "keys": True, "repeats": 3}
    return shard_loader(str(shards), num_workers=workers, **{**settings, **more})


def given_by(one: ShardLoader) -> list[Given]:
    return [(batch.keys, batch.images.numpy().tobytes()) for batch in one]


@given(st.integers(1, 60), st.integers(1, 7), st.integers(1, 5))
def test_a_cycle_shows_every_position_as_often_and_each_time_once(samples: int, lanes: int, repeats: int) -> None:
    order, showing = unrepeated(np.arange(samples * repeats), samples, lanes, repeats)
    wanted = [(position, time) for position in range(samples) for time in range(repeats)]
    assert sorted(zip(order.tolist(), showing.tolist(), strict=True)) == wanted
    for position in range(samples):
        (places,) = np.flatnonzero(order == position)[None]
        assert np.ptp(places) <= (repeats - 1) * lanes
        assert showing[places].tolist() == list(range(repeats))


@given(st.integers(1, 20), st.integers(1, 7), st.integers(1, 5))
def test_a_lane_keeps_its_positions(rows: int, lanes: int, repeats: int) -> None:
    positions = np.arange(rows * lanes * repeats)
    assert (unrepeated(positions, rows * lanes, lanes, repeats)[0] % lanes == positions % lanes).all()


@given(st.lists(st.integers(0, 10**12), min_size=1), st.integers(1, 8))
def test_without_repeats_positions_are_the_orders_own(positions: list[int], lanes: int) -> None:
    order, showing = unrepeated(np.array(positions), 10**12 + 1, lanes, 1)
    assert order.tolist() == positions
    assert not showing.any()


def test_three_epochs_show_every_picture_three_times_in_different_crops(shards: Path) -> None:
    one = loader(shards)
    epochs = [list(one) for _ in range(3)]
    for batches in epochs:
        assert [len(batch.keys) for batch in batches] == [24] * 5
        assert len({key for batch in batches for key in batch.keys}) in (40, 41, 42)  # a few begin or end beside it
        assert all(len(set(batch.keys)) == 8 for batch in batches[:1])
    shown = []
    for batch in (batch for batches in epochs for batch in batches):
        shown += [(key, image.numpy().tobytes()) for key, image in zip(batch.keys, batch.images, strict=True)]
    assert set(Counter(key for key, _ in shown).values()) == {3}
    assert len({key for key, _ in shown}) == 120
    assert len(set(shown)) == 360


def test_the_next_cycle_has_another_order(shards: Path) -> None:
    one = loader(shards)
    cycles = [[key for _ in range(3) for batch in one for key in batch.keys] for _ in range(2)]
    assert sorted(cycles[0]) == sorted(cycles[1])
    assert cycles[0] != cycles[1]


@pytest.mark.parametrize("more", [{}, {"global_batch": 22}, {"drop_last": False, "global_batch": 22}, {"lanes": 3}])
@pytest.mark.parametrize("ranks", [2, 3])
def test_any_number_of_ranks_sees_the_global_batches_of_one(shards: Path, ranks: int, more: dict[str, int]) -> None:
    for epoch in (0, 1, 5):
        alone, *shares = (
            keys_of(loader(shards, rank=rank, world_size=size, **more), epoch)
            for rank, size in [(0, 1), *((rank, ranks) for rank in range(ranks))]
        )
        together = [sorted(sum(parts, ())) for parts in zip(*shares, strict=True)]
        assert together == [sorted(keys) for keys in alone]


def keys_of(one: ShardLoader, epoch: int) -> list[tuple[str, ...]]:
    one.set_epoch(epoch)
    return [batch.keys for batch in one]


def test_resume_in_any_epoch_of_a_cycle_gives_the_same_batches(shards: Path) -> None:
    one = loader(shards)
    whole = [given_by(one) for _ in range(4)]
    for epoch, step in [(0, 2), (1, 0), (2, 4), (3, 1)]:
        stopped = loader(shards)
        stopped.set_epoch(epoch)
        for _, _ in zip(range(step + 1), stopped, strict=False):
            state = json.loads(json.dumps(stopped.state_dict()))
        other = loader(shards, workers=2)
        other.load_state_dict(state)
        rest = given_by(other)
        assert rest == (whole[epoch][step + 1 :] or whole[epoch + 1])
        other.close()


def test_a_state_of_other_repeats_is_refused_and_an_older_one_has_none(shards: Path) -> None:
    state = loader(shards).state_dict()
    with pytest.raises(TarnError, match="repeats=3, this run has 1: give repeats=3"):
        loader(shards, repeats=1).load_state_dict(state)
    old = loader(shards, repeats=1).state_dict()
    del old["repeats"]
    loader(shards, repeats=1).load_state_dict(old)
    with pytest.raises(TarnError, match="repeats=1, this run has 3"):
        loader(shards).load_state_dict(old)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_store_is_asked_once_for_a_picture_that_comes_thrice(shards: Path, workers: int) -> None:
    with served(shards) as web:
        one = loader(web.url, workers, cache="none")
        assert given_by(one) == given_by(loader(shards))
        one.close()
        pictures = [asked for asked in web.asked if asked[0].endswith(".tar")]
    if not workers:  # the next epoch's first batches are begun by then
        assert len(pictures) <= 48


@pytest.mark.parametrize("workers", [0, 1])
def test_repeats_go_through_the_cache_too(shards: Path, tmp_path: Path, workers: int) -> None:
    with served(shards) as web:
        one, here = loader(web.url, workers, cache=str(tmp_path)), loader(shards)
        for _ in range(3):
            assert given_by(one) == given_by(here)
        one.close()


def test_evaluation_repeats_nothing(shards: Path) -> None:
    keys = [key for batch in loader(shards, split="val", train=False) for key in batch.keys]
    assert len(keys) == len(set(keys)) == 40


def test_less_than_one_showing_is_refused() -> None:
    with pytest.raises(UsageError, match="repeats=0 must be a whole number of at least 1"):
        OrderConfig(repeats=0)
