"""Augmentation of one's own: torchvision's v2 in the picture's hook, against a DataLoader over an ImageFolder.

    python -m benchmarks.hooks path/to/pictures --rounds 5

Random resized crops of 224 px, then a flip alone, a flip and ColorJitter, a flip and RandAugment: the same transforms
on both sides, on one core, in turns in one run. Ratios are medians of same-round ratios.
"""

import argparse
import statistics
from pathlib import Path

from benchmarks.contender import HOOKS, Task
from benchmarks.data import prepared
from benchmarks.machine import describe
from benchmarks.report import Bar, show
from benchmarks.rounds import Runner, in_turns, ratio

CHAINS = ("flip", "jitter", "randaugment")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, help="a Kaggle tree or an ImageFolder tree")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0, help="of a turn (%(default)s)")
    args = parser.parse_args()
    data = prepared(args.source)
    print(f"{describe()}\n{args.rounds} rounds of {args.seconds:g} s, batches of 64, one core, in turns\n")
    print("| behind the crop | ImageFolder, images/s | Tarn's hook, images/s | x |\n|---|---:|---:|---:|")
    bars = []
    for what in CHAINS:
        task = Task(str(data.pictures), str(data.packed), 1, 64)
        runners = [Runner(f"{HOOKS}{who}-{what}", task, []) for who in ("folder", "tarn")]
        theirs, ours = in_turns(runners, args.rounds, args.seconds)
        for runner in runners:
            runner.close()
        times = ratio(ours, theirs)
        print(f"| {what} | {statistics.median(theirs):.0f} | {statistics.median(ours):.0f} | {times:.2f} |", flush=True)
        bars.append(Bar(f"v2 in the hook, {what}, x the same in a DataLoader", times, ">=", 1.5))
    print("\nBars")
    show(bars)


if __name__ == "__main__":
    main()
