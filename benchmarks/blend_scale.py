"""What a position of a blend of a billion samples costs: three parts at 5 : 2 : 1, from nothing.

    python -m benchmarks.blend_scale              # each position by a new order; fails where one misses the bar

Sizes are drawn and nothing is read. A line: seconds of processor time, for the order of an epoch to be made and one
position located in it, and the same for a whole global batch, which touches all parts. The imports are told once;
making the parts, which stands for reading manifests, is not counted. Shares are looked at in every run
of a batch's length across the batch located and the next one.
"""

import time

BEGIN = time.process_time()  # before the imports

import argparse  # noqa: E402
import resource  # noqa: E402
import sys  # noqa: E402

import numpy as np  # noqa: E402

from benchmarks.machine import describe  # noqa: E402
from tarn.sharding.format.manifest import ShardInfo  # noqa: E402
from tarn.training.streaming.access import Access  # noqa: E402
from tarn.training.streaming.blend import Blend, BlendOrder  # noqa: E402
from tarn.training.streaming.origin import Origin, Origins  # noqa: E402

IMPORTS = time.process_time() - BEGIN
SECONDS = 0.3
WEIGHTS, SHARES = (5, 2, 1), (0.6, 0.3, 0.1)  # the latter: of the shards
BATCH = 4096


def parts_of(shards: int) -> Blend:
    """With about 1,000 samples a shard."""
    rng = np.random.default_rng(0)
    origins = []
    for share in SHARES:
        sizes = rng.integers(500, 1501, int(shards * share))
        infos = tuple(ShardInfo("", int(size), 0, "", "") for size in sizes)
        origins.append(Origin(root="/", tars="/", shards=infos, access=Access()))
        _ = origins[-1].sizes
    epoch = int(origins[0].samples * sum(WEIGHTS) / WEIGHTS[0])
    return Blend(
        origins=Origins(tuple(origins)),
        weights=WEIGHTS,
        seed=0,
        global_batch=BATCH,
        epoch_samples=epoch - epoch % BATCH,
        lanes=8,
        active_shards=32,
    )


def check_shares(blend: Blend, epoch: int, first: int) -> None:
    """Of every run of a batch's length in two batches from there on."""
    parts, _ = BlendOrder(blend, epoch).drawn(np.arange(first, first + 2 * BATCH))
    for part, weight in enumerate(WEIGHTS):
        before = np.append(0, np.cumsum(parts == part))
        runs = before[BATCH:] - before[:-BATCH]
        assert (np.abs(runs - BATCH * weight / sum(WEIGHTS)) < 1).all(), runs


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shards", type=int, default=1_000_000)
    parser.add_argument("--positions", type=int, default=8)
    args = parser.parse_args()
    blend, rng = parts_of(args.shards), np.random.default_rng(1)
    samples = sum(origin.samples for origin in blend.origins.each)
    print(f"{describe()}\n{samples:,} samples in {args.shards:,} shards, {blend.epoch_samples:,} an epoch")
    print(f"imports {IMPORTS:.2f} s")
    worst = 0.0
    for epoch in (0, 1, 7, 100):
        for position in (0, blend.epoch_samples - 1, *rng.integers(0, blend.epoch_samples, args.positions)):
            begin = time.process_time()
            order = BlendOrder(blend, epoch)
            order.locate(np.array([position], np.int64))
            worst = max(worst, time.process_time() - begin)
        begin = time.process_time()
        order, first = BlendOrder(blend, epoch), int(position) // BATCH * BATCH
        order.locate(np.arange(first, first + BATCH))
        batch = time.process_time() - begin
        check_shares(blend, epoch, min(first, blend.epoch_samples - 2 * BATCH))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
        print(
            f"epoch {epoch}: a position {worst:.3f} s at worst, a batch of {BATCH} {batch:.3f} s; peak {peak:,.0f} MB"
        )
    met = IMPORTS + worst <= SECONDS
    print(f"imports and the worst position: {IMPORTS + worst:.2f} s{'' if met else '; MISSED'}")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
