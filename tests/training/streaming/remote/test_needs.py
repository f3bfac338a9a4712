import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tarn.sharding.format.manifest import ShardInfo
from tarn.training.pixels.geometry import Augmentation
from tarn.training.pixels.preprocessing import Preprocessing
from tarn.training.streaming.plan import StreamPlan
from tarn.training.streaming.remote.horizon import Horizon
from tarn.training.streaming.remote.needs import epoch_needs, needs
from tarn.training.streaming.showings import Showings
from tarn.training.world.ranks import Ranks


def plan(sizes: list[int], ranks: Ranks, batch: int, lanes: int, active: int, repeats: int = 1) -> StreamPlan:
    return StreamPlan(
        root="nowhere",
        tars="nowhere",
        shards=tuple(ShardInfo(f"{i}.tar", size, 100 * size, f"{i}", f"i{i}") for i, size in enumerate(sizes)),
        seed=1,
        global_batch=batch,
        lanes=lanes,
        active_shards=active,
        ranks=ranks,
        part_size=batch,
        image_size=8,
        preprocessing=Preprocessing(),
        augmentation=Augmentation(),
        drop_last=True,
        repeats=repeats,
    )


SIZES = st.lists(st.integers(1, 30), min_size=1, max_size=12).filter(lambda sizes: sum(sizes) >= 16)


@settings(max_examples=60, deadline=None)
@given(SIZES, st.integers(1, 4), st.integers(1, 5), st.integers(1, 8), st.integers(1, 3), st.data())
def test_every_shard_is_announced_before_its_first_sample_and_until_its_last(
    sizes: list[int], ranks: int, lanes: int, active: int, repeats: int, data: st.DataObject
) -> None:
    mine = plan(sizes, Ranks(data.draw(st.integers(0, ranks - 1)), ranks), 8, lanes, active, repeats)
    start = data.draw(st.integers(0, mine.steps - 1))
    epoch = data.draw(st.integers(0, 4))
    showings = Showings(mine, epoch)
    told = list(epoch_needs(mine, epoch, start * 8, 0))
    assert [need.first for need in told] == sorted(need.first for need in told)
    for step in range(start, mine.steps):
        for positions in mine.positions(step):
            shards, _ = showings.locate(positions)
            for position, shard in zip(positions.tolist(), shards.tolist(), strict=True):
                assert any(need.shard == shard and need.first <= position < need.last for need in told)


def test_epochs_follow_each_other_without_end() -> None:
    mine = plan([10] * 6, Ranks(), 10, 2, 2)
    found = list(itertools.islice(needs(mine, 0, 5), 40))
    assert [need.first for need in found] == sorted(need.first for need in found)
    assert {need.shard for need in found if 60 <= need.first < 120} == set(range(6))


@settings(max_examples=40, deadline=None)
@given(SIZES, st.integers(1, 4), st.integers(1, 40), st.integers(1, 3))
def test_a_horizon_holds_what_a_step_reads_as_far_as_the_limit_reaches(
    sizes: list[int], lanes: int, shards: int, repeats: int
) -> None:
    mine = plan(sizes, Ranks(), 8, lanes, 2, repeats)
    limit = 3000 * shards
    horizon = Horizon(mine, limit, 0, 0)
    for epoch in range(2):
        for step in range(mine.steps):
            horizon.advance(epoch, step)
            read, _ = Showings(mine, epoch).locate(np.concatenate(mine.positions(step)))
            if limit >= 2 * sum(100 * size for size in sizes):
                assert set(read.tolist()) <= set(horizon.shards())
            assert horizon.bytes == sum(mine.shards[shard].bytes for shard in horizon.shards())
            distances = [horizon.distances()[mine.shards[shard].sha256] for shard in horizon.shards()]
            assert distances == sorted(distances)
