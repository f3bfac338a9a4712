"""What the order of a billion samples costs, from nothing to any position; and that no sample comes twice.

    python -m benchmarks.order_scale              # each line in a process of its own; fails where one misses the bar
    python -m benchmarks.order_scale --ragged     # 100 epochs of 300 small, uneven shards, over 1 to 5 ranks

Sizes are drawn and nothing is read. Seconds: the imports, making the order, and locating 9 positions one by one; not
counted: drawing the sizes, which stands for reading a manifest.
"""

import time

BEGIN = time.perf_counter()  # before the imports

import argparse  # noqa: E402
import resource  # noqa: E402
import subprocess  # noqa: E402
import sys  # noqa: E402

import numpy as np  # noqa: E402
from numpy.typing import NDArray  # noqa: E402

from tarn.sharding.format.manifest import ShardInfo  # noqa: E402
from tarn.training.pixels.geometry import Augmentation  # noqa: E402
from tarn.training.pixels.preprocessing import Preprocessing  # noqa: E402
from tarn.training.streaming.order import EpochOrder  # noqa: E402
from tarn.training.streaming.plan import StreamPlan  # noqa: E402
from tarn.training.world.ranks import Ranks  # noqa: E402

IMPORTS = time.perf_counter() - BEGIN
SECONDS, MEGABYTES = 1.0, 300.0
LINES = [(8, 32, 0), (8, 32, 5), (64, 128, 0), (64, 128, 5)]  # lanes, active shards, epoch
BATCH = 64  # ranks 1, 2 and 4 serve whole lanes of it, ranks 3 and 5 slices


def locate(count: int, lanes: int, active: int, epoch: int) -> bool:
    """Random positions and the last one. Whether the bar was met."""
    rng = np.random.default_rng(epoch)
    sizes = np.random.default_rng(0).integers(500, 1501, count)
    begin = time.perf_counter()
    order = EpochOrder(sizes, 0, epoch, lanes, active)
    made = time.perf_counter()
    for position in (*rng.integers(0, len(order), 8), len(order) - 1):
        shard, place = order.locate(np.array([position]))
        assert 0 <= place[0] < sizes[shard[0]]
    found = time.perf_counter()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    met = IMPORTS + found - begin <= SECONDS and peak < MEGABYTES
    print(
        f"{len(order):,} samples, {count:,} shards, {lanes} lanes, {active} active, epoch {epoch}: "
        f"{made - begin:.2f} s the order + {found - made:.3f} s the positions, {found - begin + IMPORTS:.2f} s with "
        f"imports; peak {peak:.0f} MB{'' if met else '; MISSED'}"
    )
    return met


def plan_of(sizes: NDArray[np.int64], rank: int, ranks: int, train: bool) -> StreamPlan:
    return StreamPlan(
        root="",
        tars="",
        shards=tuple(ShardInfo(f"{number}.tar", int(size), 0, "", "") for number, size in enumerate(sizes)),
        seed=0,
        global_batch=BATCH,
        lanes=8,
        active_shards=32,
        ranks=Ranks(rank, ranks),
        part_size=24,
        image_size=224,
        preprocessing=Preprocessing(),
        augmentation=Augmentation() if train else None,
        drop_last=train,
    )


def served(plan: StreamPlan) -> list[NDArray[np.int64]]:
    """Positions of a rank, step after step: the same in every epoch."""
    return [np.concatenate(plan.positions(step)) for step in range(plan.steps)]


def ragged(epochs: int = 100, most: int = 5) -> None:
    sizes = np.random.default_rng(0).integers(1, 51, 300)
    starts, total = np.cumsum(sizes) - sizes, int(sizes.sum())
    for ranks in range(1, most + 1):
        plans = [plan_of(sizes, rank, ranks, train=False) for rank in range(ranks)]
        parts = [plan.order(0).locate(np.concatenate(served(plan))) for plan in plans]
        numbers = np.concatenate([starts[shards] + places for shards, places in parts])
        assert (np.sort(numbers) == np.arange(total)).all(), "evaluation: each sample once"
    seen = np.zeros(total, np.int64)
    groups = [[plan_of(sizes, rank, ranks, train=True) for rank in range(ranks)] for ranks in range(1, most + 1)]
    positions = [[np.stack(served(plan)) for plan in group] for group in groups]
    for epoch in range(epochs):
        batches = []
        for group, steps in zip(groups, positions, strict=True):
            parts = [plan.order(epoch).locate(mine) for plan, mine in zip(group, steps, strict=True)]
            numbers = np.concatenate([starts[shards] + places for shards, places in parts], axis=1)
            batches.append(np.sort(numbers, axis=1))
        count = np.bincount(batches[0].ravel(), minlength=total)
        assert count.max() == 1, "training: no sample twice in an epoch"
        assert (count == 0).sum() == total % BATCH, "training: all but the last batch's remainder"
        assert all((batch == batches[0]).all() for batch in batches), "global batches: the same over any ranks"
        seen += count
    print(
        f"{total:,} samples in 300 shards of 1 to 50, batch {BATCH}, 1 to {most} ranks: evaluation serves each sample "
        f"once; in each of {epochs} training epochs none comes twice, all but {total % BATCH} come, and global batches "
        f"are the same over any ranks; over all epochs a sample came {seen.min()} to {seen.max()} times"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shards", type=int, default=1_000_000)
    parser.add_argument("--ragged", action="store_true")
    parser.add_argument("--line", type=int, help="one line only, in this process: 0 to 3")
    args = parser.parse_args()
    if args.ragged:
        ragged()
        return 0
    if args.line is not None:
        return 0 if locate(args.shards, *LINES[args.line]) else 1
    command = [sys.executable, "-m", "benchmarks.order_scale", "--shards", str(args.shards), "--line"]
    return max(subprocess.run([*command, str(line)]).returncode for line in range(len(LINES)))


if __name__ == "__main__":
    sys.exit(main())
