"""Resume at 90 % of an epoch of 40,000 samples against a fresh start: seconds from building the loader to its batch.

    python -m benchmarks.resume path/to/imagenet-sample

Packs the pictures 40 times over (under build/bench), then starts fresh and resumed loaders in turn, each in a process
of its own, imports not counted; 2 workers, batches of 64 at 224 px. Checks that the resumed batches are those of the
uninterrupted epoch. Peers measured by the same method are in docs/streaming.md.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.repeated import repeated

BATCH, SAMPLES, ROUNDS = 64, 40_000, 7
AT = SAMPLES * 9 // 10 // BATCH  # batches consumed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pictures", type=Path, help="a folder with pictures in it; or with --once, packed shards")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--once", type=int, help="internal: batches consumed before")
    args = parser.parse_args()
    if args.once is not None:
        print(json.dumps(start(str(args.pictures), args.once)))
        return
    shards = repeated(args.pictures, SAMPLES, Path("build/bench/resume-40k"))
    times: dict[int, list[float]] = {0: [], AT: []}
    for _ in range(args.rounds):
        for consumed, seconds in times.items():
            told = subprocess.run(
                [sys.executable, "-m", "benchmarks.resume", str(shards), "--once", str(consumed)],
                capture_output=True, text=True, check=True,
            )  # fmt: skip
            seconds.append(json.loads(told.stdout)["seconds"])
    fresh, resumed = (statistics.median(seconds) for seconds in times.values())
    for name, seconds in zip(("fresh", f"resumed after batch {AT} of {SAMPLES // BATCH}"), times.values(), strict=True):
        print(f"{name}: {statistics.median(seconds):.3f} s ({min(seconds):.3f} to {max(seconds):.3f}), n={args.rounds}")
    print(f"ratio resumed/fresh: {resumed / fresh:.2f}")
    print(f"the {SAMPLES // BATCH - AT} batches that follow are those of the uninterrupted epoch: {same_rest(shards)}")


def start(shards: str, consumed: int) -> dict[str, float]:
    from tarn.training.streaming import ShardLoader

    started = time.perf_counter()
    loader = ShardLoader(shards, global_batch=BATCH, num_workers=2)
    loader.load_state_dict({**loader.state_dict(), "samples": consumed * BATCH})
    next(iter(loader))
    return {"seconds": time.perf_counter() - started}


def same_rest(shards: Path) -> bool:
    """By keys, at 16 px so that it takes seconds."""
    from tarn.training.streaming import ShardLoader

    whole, rest = (
        ShardLoader(str(shards), global_batch=BATCH, num_workers=2, keys=True, image_size=16) for _ in range(2)
    )
    rest.load_state_dict({**rest.state_dict(), "samples": AT * BATCH})
    return [batch.keys for batch in whole][AT:] == [batch.keys for batch in rest]


if __name__ == "__main__":
    main()
