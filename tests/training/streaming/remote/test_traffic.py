from tarn.sharding.format.manifest import ShardInfo
from tarn.training.pixels.geometry import Augmentation
from tarn.training.pixels.preprocessing import Preprocessing
from tarn.training.streaming.plan import StreamPlan
from tarn.training.streaming.processes.shared import anonymous_file
from tarn.training.streaming.remote.traffic import EAGER_BYTES, MOST_SHARE, RANGE_SHARE, Traffic, eager_bytes
from tarn.training.world.ranks import Ranks


def traffic(shard_bytes: int, ranks: int = 1) -> Traffic:
    """Of a split of a hundred shards, read by two workers."""
    plan = StreamPlan(
        root="nowhere",
        tars="nowhere",
        shards=tuple(ShardInfo(f"{i}.tar", 100, shard_bytes, f"{i}", f"i{i}") for i in range(100)),
        seed=1,
        global_batch=16,
        lanes=4,
        active_shards=8,
        ranks=Ranks(0, ranks),
        part_size=16,
        image_size=8,
        preprocessing=Preprocessing(),
        augmentation=Augmentation(),
        drop_last=True,
    )
    assert eager_bytes(plan) == min(EAGER_BYTES, int(MOST_SHARE * 100 * shard_bytes / ranks))
    return Traffic(plan, 4, anonymous_file(0))


def test_samples_of_coming_shards_are_read_singly_at_a_start_and_then_in_proportion_to_shards() -> None:
    one = traffic(shard_bytes=10**9)
    assert one.may_read_by_range()
    one.moved[1:3] = EAGER_BYTES // 2
    assert not one.may_read_by_range()
    one.moved[0] = 10**9
    assert one.may_read_by_range()
    one.moved[2] += int(RANGE_SHARE * 10**9)
    assert not one.may_read_by_range()


def test_little_of_a_split_is_read_twice_however_much_came_as_shards() -> None:
    for ranks in (1, 4):
        one = traffic(shard_bytes=10**7, ranks=ranks)
        one.moved[0] = 10**12
        one.moved[3] = int(MOST_SHARE * 10**9 / ranks) - 1
        assert one.may_read_by_range()
        one.moved[1] += 1
        assert not one.may_read_by_range()
