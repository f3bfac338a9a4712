import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tarn.training.streaming.order import EpochOrder
from tarn.training.streaming.randomness import permutation, sample_uniforms

SIZES = st.lists(st.integers(1, 40), min_size=1, max_size=12)


def everything(order: EpochOrder) -> list[tuple[int, int]]:
    shards, places = order.locate(np.arange(len(order), dtype=np.int64))
    return list(zip(shards.tolist(), places.tolist(), strict=True))


@settings(max_examples=80, deadline=None)
@given(SIZES, st.integers(0, 2**40), st.integers(0, 99), st.integers(1, 5), st.integers(1, 20))
def test_an_epoch_holds_every_sample_exactly_once(
    sizes: list[int], seed: int, epoch: int, lanes: int, active: int
) -> None:
    seen = everything(EpochOrder(sizes, seed, epoch, lanes, active))
    assert sorted(seen) == [(shard, place) for shard, size in enumerate(sizes) for place in range(size)]


@given(SIZES, st.integers(1, 5))
def test_without_shuffle_every_sample_comes_once_in_the_manifest_order(sizes: list[int], lanes: int) -> None:
    order = EpochOrder(sizes, 0, 0, lanes, shuffle=False)
    assert everything(order) == [(shard, place) for shard, size in enumerate(sizes) for place in range(size)]


@given(SIZES, st.integers(1, 4), st.integers(0, 1000))
def test_a_position_is_found_on_its_own_as_in_a_whole_epoch(sizes: list[int], lanes: int, at: int) -> None:
    order = EpochOrder(sizes, 7, 3, lanes, 4)
    if len(order):
        at %= len(order)
        shards, places = EpochOrder(sizes, 7, 3, lanes, 4).locate(np.array([at]))
        assert (int(shards[0]), int(places[0])) == everything(order)[at]


def test_epochs_and_seeds_differ_and_repeat_themselves() -> None:
    sizes = [50] * 10
    first = everything(EpochOrder(sizes, 1, 0, 4, 8))
    assert first == everything(EpochOrder(sizes, 1, 0, 4, 8))
    assert first != everything(EpochOrder(sizes, 1, 1, 4, 8))
    assert first != everything(EpochOrder(sizes, 2, 0, 4, 8))


def test_a_bounded_set_of_shards_is_in_use_at_a_time() -> None:
    active, lanes = 8, 4
    seen = everything(EpochOrder([100] * 64, 1, 0, lanes, active))
    for start in range(0, len(seen), 100):
        # a stretch may sit on the border of two windows in every lane, each of which shares its border shards
        assert len({shard for shard, _ in seen[start : start + 100]}) <= 2 * active + lanes


def test_the_samples_behind_the_last_whole_batch_change_from_epoch_to_epoch() -> None:
    left = [{place for _, place in everything(EpochOrder([103], 5, e, 8))[96:]} for e in range(6)]
    assert all(len(out) == 7 for out in left)
    assert len(set.union(*left)) > 14


def test_the_drawn_order_is_the_published_one_on_every_machine() -> None:
    """A change here breaks the resume of every run that is under way."""
    assert permutation(10, 1, 2, 3).tolist() == PERMUTATION
    assert everything(EpochOrder([3, 4, 5], 11, 2, 2, 2)) == ORDER
    assert sample_uniforms(1, 2, np.array([3]), 2)[0].tolist() == UNIFORMS


PERMUTATION = [5, 3, 7, 4, 9, 2, 8, 1, 0, 6]
ORDER = [(2, 3), (1, 2), (2, 1), (1, 3), (2, 4), (1, 1), (2, 2), (0, 2), (2, 0), (0, 1), (1, 0), (0, 0)]
UNIFORMS = [0.08397998647728433, 0.5098515194847107]


def test_uniforms_look_uniform_and_independent() -> None:
    drawn = sample_uniforms(0, 0, np.arange(20000), 24)
    assert drawn.min() >= 0
    assert drawn.max() < 1
    assert drawn.mean(axis=0) == pytest.approx(np.full(24, 0.5), abs=0.01)
    assert np.abs(np.corrcoef(drawn.T) - np.eye(24)).max() < 0.03
    assert abs(np.corrcoef(drawn[:-1, 0], drawn[1:, 0])[0, 1]) < 0.03
