"""The order of several datasets: against a stream that is put together sample by sample."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from itertools import count, islice

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tarn.sharding.format.manifest import ShardInfo
from tarn.training.pixels.geometry import Augmentation
from tarn.training.pixels.preprocessing import Preprocessing
from tarn.training.streaming import blend as blending
from tarn.training.streaming.access import Access
from tarn.training.streaming.blend import Blend, BlendOrder
from tarn.training.streaming.order import EpochOrder
from tarn.training.streaming.origin import Origin, Origins
from tarn.training.streaming.plan import StreamPlan
from tarn.training.streaming.randomness import mixed
from tarn.training.streaming.remote.needs import epoch_needs, needs
from tarn.training.world.ranks import Ranks

SIZES = st.lists(st.lists(st.integers(1, 9), min_size=1, max_size=5), min_size=1, max_size=4)
Sample = tuple[int, int]


def origin(sizes: list[int], where: str = "/nowhere") -> Origin:
    shards = tuple(ShardInfo(f"{number}.tar", size, 1000 * size, "", "") for number, size in enumerate(sizes))
    return Origin(root=where, tars=where, shards=shards, access=Access())


def blend(
    sizes: list[list[int]], weights: list[int], batch: int, epoch: int, where: str = "/nowhere", lanes: int = 3
) -> Blend:
    return Blend(
        origins=Origins(tuple(origin(each, where) for each in sizes)),
        weights=tuple(weights),
        seed=9,
        global_batch=batch,
        epoch_samples=epoch * batch,
        lanes=lanes,
        active_shards=4,
    )


def located(told: Blend, epoch: int) -> list[Sample]:
    shards, places = BlendOrder(told, epoch).locate(np.arange(told.epoch_samples))
    return list(zip(shards.tolist(), places.tolist(), strict=True))


def of_parts(told: Blend, samples: list[Sample]) -> list[list[Sample]]:
    """Each part's samples in the order of their coming, its shards numbered from 0."""
    found: list[list[Sample]] = [[] for _ in told.weights]
    for shard, place in samples:
        part, within = told.origins.at(shard)
        found[part].append((within, place))
    return found


def passes(sizes: list[int], seed: int) -> Iterator[Sample]:
    """Pass after pass of a part, by its own order."""
    for number in count():
        order = EpochOrder(sizes, seed, number, 3, 4)
        shards, places = order.locate(np.arange(len(order)))
        yield from zip(shards.tolist(), places.tolist(), strict=True)


@settings(max_examples=40, deadline=None)
@given(SIZES, st.data(), st.integers(1, 12), st.integers(1, 6))
def test_every_part_is_gone_through_once_per_pass_in_its_own_order_up_to_the_deal_of_a_batch(
    sizes: list[list[int]], data: st.DataObject, batch: int, steps: int
) -> None:
    weights = data.draw(st.lists(st.integers(1, 7), min_size=len(sizes), max_size=len(sizes)))
    told = blend(sizes, weights, batch, steps)
    epochs = [located(told, epoch) for epoch in range(4)]
    stream = [sample for epoch in epochs for sample in epoch]
    for part, each in enumerate(sizes):
        order = passes(each, mixed(9, blending.PART, part))
        for first in range(0, len(stream), batch):  # each batch holds what comes next of the part
            mine = of_parts(told, stream[first : first + batch])[part]
            assert Counter(mine) == Counter(islice(order, len(mine)))
            assert abs(len(mine) - batch * weights[part] / sum(weights)) < 1


@settings(max_examples=30, deadline=None)
@given(SIZES, st.data(), st.integers(1, 12), st.integers(0, 10**9))
def test_a_position_is_found_by_itself_as_among_all_others(
    sizes: list[list[int]], data: st.DataObject, batch: int, at: int
) -> None:
    weights = data.draw(st.lists(st.integers(1, 7), min_size=len(sizes), max_size=len(sizes)))
    told = blend(sizes, weights, batch, 5)
    epoch, position = divmod(at, told.epoch_samples)
    shards, places = BlendOrder(told, epoch).locate(np.array([position]))
    assert (int(shards[0]), int(places[0])) == located(told, epoch)[position]


def test_three_datasets_at_5_2_1_come_in_that_ratio_each_once_per_pass() -> None:
    sizes = [[40, 35, 25], [64], [10, 11, 12]]
    told = blend(sizes, [5, 2, 1], 16, 100)
    stream = [sample for epoch in range(2) for sample in located(told, epoch)]
    for first in range(0, len(stream), 16):
        assert [len(each) for each in of_parts(told, stream[first : first + 16])] == [10, 4, 2]
    for part, each in enumerate(of_parts(told, stream)):
        size = sum(sizes[part])
        begun = -(-len(each) // size)
        assert set(Counter(each).values()) <= {begun - 1, begun}
    assert set(Counter(of_parts(told, stream)[0]).values()) == {20}  # 2,000 samples, 100 a pass


def shown(told: Blend, epochs: int) -> NDArray[np.int64]:
    """The part at each position of the stream."""
    everywhere = np.arange(told.epoch_samples)
    return np.concatenate([BlendOrder(told, epoch).drawn(everywhere)[0] for epoch in range(epochs)])


@pytest.mark.parametrize("lanes", [1, 3, 8])
@pytest.mark.parametrize(
    ("weights", "batch", "most"),
    [([5, 2, 1], 16, 0), ([5, 2, 1], 200, 0), ([5, 2, 1], 13, 1), ([2, 1], 16, 1), ([5, 2, 1], 15, 2)],
)
def test_any_run_of_places_as_long_as_a_batch_has_each_share(
    weights: list[int], batch: int, most: float, lanes: int
) -> None:
    """Wherever it begins; most: samples by which it is wrong. Passes end within, and in the middle of batches."""
    told = blend([[40, 35, 25], [64], [10, 11, 12]], weights, batch, 50, lanes=lanes)
    parts = shown(told, 3)
    for part, weight in enumerate(weights):
        before = np.append(0, np.cumsum(parts == part))
        runs = before[batch:] - before[:-batch]
        assert (np.abs(runs - batch * weight / sum(weights)) <= most).all()


def test_a_rank_and_a_micro_batch_have_the_shares_too() -> None:
    told = blend([[400], [300], [200]], [5, 2, 1], 256, 4, lanes=8)
    first = shown(told, 1)[:256]
    for rank in range(4):
        mine = first[Ranks(rank, 4).share(256, 8)]
        assert np.bincount(mine, minlength=3).tolist() == [40, 16, 8]
        for micro_batch in np.array_split(mine, 2):
            assert (np.abs(np.bincount(micro_batch, minlength=3) - [20, 8, 4]) <= 2).all()


def test_samples_stand_in_their_own_lanes_but_for_a_few() -> None:
    """A part's last samples of a pass and its first ones need not fill all lanes alike."""
    told = blend([[400], [300], [200]], [5, 2, 1], 256, 10, lanes=8)
    parts, numbers = BlendOrder(told, 0).drawn(np.arange(told.epoch_samples))
    own = numbers % np.array([400, 300, 200])[parts] % 8
    assert (own != np.arange(told.epoch_samples) % 8).mean() < 0.02


def test_a_part_smaller_than_its_share_of_a_batch_comes_several_times_in_it() -> None:
    told = blend([[2], [30]], [3, 1], 16, 2)
    (small, _) = of_parts(told, located(told, 0)[:16])
    assert Counter(small) == {(0, 0): 6, (0, 1): 6}


def test_the_same_dataset_twice_has_two_orders() -> None:
    told = blend([[60], [60]], [1, 1], 12, 10)
    one, other = of_parts(told, located(told, 0))
    assert one != other


def test_a_billion_samples_cost_no_more_memory_than_a_few_numbers_a_shard(monkeypatch: pytest.MonkeyPatch) -> None:
    """The work of a position, counted: one pass's order, of one part, and one batch's division."""
    shards = 1000
    sizes = [[600_000] * shards, [300_000] * shards, [100_000] * shards]
    told = blend(sizes, [5, 2, 1], 4096, 100_000)
    made: list[tuple[int, int]] = []
    plain = Blend.pass_order

    def counted(self: Blend, part: int, number: int) -> EpochOrder:
        made.append((part, number))
        return plain(self, part, number)

    monkeypatch.setattr(Blend, "pass_order", counted)
    order = BlendOrder(told, 7)
    for position in (0, told.epoch_samples - 1):
        made.clear()
        shards_found, _ = order.locate(np.array([position]))
        assert len(made) == 1
        assert told.origins.at(int(shards_found[0]))[0] == made[0][0]
    assert sum(len(each) for pair in order.batches.values() for each in pair) <= 4 * 4096


def test_needs_of_a_blend_cover_every_sample_until_its_batch_is_done() -> None:
    told = blend([[7, 8, 9, 3], [5, 4]], [2, 1], 6, 11, "s3://bucket/x")
    plan = plan_of(told)
    for epoch, step in ((0, 0), (0, 4), (3, 7), (5, 10)):
        first = step * 6
        found = list(epoch_needs(plan, epoch, first, 0))
        assert [need.first for need in found] == sorted(need.first for need in found)
        spans: dict[int, list[tuple[int, int]]] = {}
        for need in found:
            spans.setdefault(need.shard, []).append((need.first, need.last))
        for position, (shard, _) in enumerate(located(told, epoch)):
            if position >= first:
                assert any(begin <= position < end for begin, end in spans[shard])


def test_a_part_of_many_passes_is_needed_as_a_whole_and_no_pass_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    told = blend([[7, 8, 9, 3], [2, 1]], [1, 10], 11, 40, "s3://bucket/x")
    looked: list[int] = []
    plain = Blend.pass_order
    monkeypatch.setattr(Blend, "pass_order", lambda self, part, at: looked.append(part) or plain(self, part, at))
    found = list(epoch_needs(plan_of(told), 1, 55, 440))
    assert set(looked) == {0}
    assert [(need.first, need.last, need.shard) for need in found if need.shard > 3] == [
        (495, 880, 4), (495, 880, 5),
    ]  # fmt: skip


def test_ranks_of_whole_lanes_read_few_shards_of_others_and_have_their_share_of_each_part() -> None:
    told = blend([[20] * 60, [20] * 30], [2, 1], 96, 12, "s3://bucket/x", lanes=4)
    within = stray = 0
    for rank in range(2):
        plan = replace(plan_of(told), ranks=Ranks(rank, 2))
        needed = {need.shard for need in epoch_needs(plan, 0, 0, 0)}
        assert len(needed) < 60
        for step in range(12):
            shards, _ = BlendOrder(told, 0).locate(plan.positions(step)[0])
            found = np.isin(shards, sorted(needed))
            within, stray = within + int(found.sum()), stray + int((~found).sum())
            counts = np.bincount(told.origins.of(shards), minlength=2)
            assert np.abs(counts - (32, 16)).max() <= 4
    assert within + stray == 12 * 96
    assert stray <= 4 * 12 * 2


def test_what_lies_on_this_host_needs_no_fetching() -> None:
    sizes = [[7, 8], [5, 4]]
    origins = Origins((origin(sizes[0], "s3://bucket/x"), origin(sizes[1])))
    told = Blend(origins=origins, weights=(1, 1), seed=1, global_batch=4, epoch_samples=24, lanes=2, active_shards=2)
    assert {need.shard for need in islice(needs(plan_of(told), 0, 0), 40)} == {0, 1}


def plan_of(told: Blend) -> StreamPlan:
    origins = told.origins
    return StreamPlan(
        root="",
        tars="",
        shards=tuple(shard for each in origins.each for shard in each.shards),
        seed=told.seed,
        global_batch=told.global_batch,
        lanes=told.lanes,
        active_shards=told.active_shards,
        ranks=Ranks(),
        part_size=told.global_batch,
        image_size=32,
        preprocessing=Preprocessing(),
        augmentation=Augmentation(),
        drop_last=True,
        origins=origins,
        blend=told,
    )
