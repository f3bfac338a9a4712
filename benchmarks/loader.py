"""Images/s of the loader alone: from shards to uint8 batches, without a network.

    make bench SHARDS=build/in1k ARGS="--workers 0 1 2 --size 224 --seconds 20"

Prints, for each number of workers, the median of the repeats and their range. The first batches are not counted.
"""

import argparse
import itertools
import statistics
import time

import torch

from sharding.manifest import read_manifest
from training.streaming.loader import ShardLoader
from training.streaming.plan import DataConfig, train_plan
from training.world import World


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shards")
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    world = World(0, 1, 0, 1, torch.device("cpu"))
    data = DataConfig(shards=args.shards, image_size=args.size, eval_resize=args.size)
    manifest = read_manifest(args.shards)
    plan = train_plan(data, manifest, world, 0, args.batch, None)
    print(f"{args.shards}: {plan.samples} pictures an epoch, random resized crop to {args.size} px, batch {args.batch}")
    for workers in args.workers:
        rates = [
            images_per_second(ShardLoader.of_plan(plan, manifest, "train", workers), args.seconds)
            for _ in range(args.repeats)
        ]
        spread = f"{min(rates):.0f} to {max(rates):.0f}"
        print(f"workers {workers}: {statistics.median(rates):.0f} images/s (median of {args.repeats}; {spread})")


def images_per_second(loader: ShardLoader, seconds: float, warm_up: int = 4) -> float:
    batches = (batch for epoch in itertools.count() for batch in loader.batches(epoch))
    for _ in itertools.islice(batches, warm_up):
        pass
    seen, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        seen += len(next(batches).labels)
    return seen / (time.perf_counter() - start)


if __name__ == "__main__":
    main()
