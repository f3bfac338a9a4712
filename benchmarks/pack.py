"""Packing: with tiling and without, against GNU tar and webdataset's ShardWriter on the same files, in turns.

    python -m benchmarks.pack DATA [--files 4000] [--rounds 5]

The pictures are copied under several names, so that all of them lie in the page cache. Each turn is a process of its
own: seconds of the work alone, and of the whole process with its start. Only ours takes digests and waits for the disk.
"""

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.data import prepared
from benchmarks.machine import describe, pin
from benchmarks.report import Bar, keep, show
from benchmarks.rounds import ratio

OUT = Path("build/bench/packing")
WAYS = (
    "GNU tar",
    "shardwriter",
    "plain",
    "plain, 2 processes",
    "tiled, 1 core",
    "tiled, 1 process",
    "tiled, 2 processes",
)
LARGE, SMALL = 100_000_000, 25_000_000  # bytes of a shard; small ones where two processes are to end together


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path)
    parser.add_argument("--files", type=int, default=4000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--ways", nargs="+", default=WAYS, choices=WAYS, metavar="WAY", help=", ".join(WAYS))
    parser.add_argument("--json", type=Path, default=Path("build/bench/pack.json"), metavar="FILE")
    parser.add_argument("--turn", help="internal: what this process is to do")
    args = parser.parse_args()
    if args.turn:
        print(json.dumps(turn(args.turn, args.source)))
        return
    tree, count, size = copied(prepared(args.source).files(), args.files)
    work: dict[str, list[float]] = {way: [] for way in args.ways}
    whole: dict[str, list[float]] = {way: [] for way in args.ways}
    for _ in range(args.rounds):
        for way in args.ways:
            started = time.perf_counter()
            command = [sys.executable, "-m", "benchmarks.pack", str(tree), "--turn", way]
            told = json.loads(
                subprocess.run(command, check=True, capture_output=True, text=True).stdout.split("\n")[-2]
            )
            whole[way].append(count / (time.perf_counter() - started))
            work[way].append(count / told["seconds"])
    shutil.rmtree(OUT, ignore_errors=True)
    print(f"{describe()}, {count} files of {size / 1e6:.0f} MB, {args.rounds} rounds in turns\n")
    print(
        "| way | images/s, work alone | range | MB/s | images/s, start and imports included |\n" + "|---|" + "---:|" * 4
    )
    for way, rates in work.items():
        rate, all_of_it = statistics.median(rates), statistics.median(whole[way])
        print(
            f"| {way} | {rate:.0f} | {min(rates):.0f} to {max(rates):.0f} | {rate * size / count / 1e6:.0f} "
            f"| {all_of_it:.0f} |"
        )
    bars = bars_of(work)
    show(bars)
    keep(args.json, {"work": work, "whole": whole}, bars)


def bars_of(work: dict[str, list[float]]) -> list[Bar]:
    bars = []
    if "tiled, 1 core" in work:
        rate = statistics.median(work["tiled, 1 core"])
        bars.append(Bar("packing with tiling on one core", rate, ">=", 300, " images/s"))
    for name, way, other, least in (
        ("packing without tiling, hashed, x ShardWriter", "plain", "shardwriter", 1.5),
        ("packing without tiling, hashed, x GNU tar", "plain", "GNU tar", 0.75),
        ("packing with tiling, two processes x one", "tiled, 2 processes", "tiled, 1 process", 1.85),
    ):
        if {way, other} <= set(work):
            bars.append(Bar(name, ratio(work[way], work[other]), ">=", least))
    return bars


def copied(files: list[Path], wanted: int) -> tuple[Path, int, int]:
    """An ImageFolder tree of so many copies of the pictures, their number and bytes."""
    tree, size = OUT.parent / f"packing-copies-{len(files)}-{wanted}", 0
    for number in range(wanted):
        source = files[number % len(files)]
        copy = tree / "train" / source.parent.name / f"{number // len(files)}-{source.name}"
        copy.parent.mkdir(parents=True, exist_ok=True)
        size += source.stat().st_size
        if not copy.exists():
            shutil.copyfile(source, copy)
    return tree, wanted, size


def turn(way: str, tree: Path) -> dict[str, float]:
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    if way == "GNU tar":
        return {"seconds": gnu_tar(tree)}
    if way == "shardwriter":
        return {"seconds": shardwriter(tree)}
    from tarn.sharding.packing.pack import PackConfig, pack
    from tarn.sharding.packing.preparation import Preparation

    workers = 2 if "2 processes" in way else 1
    if way == "tiled, 1 core":
        pin(1)
    how, size = Preparation() if "tiled" in way else Preparation(tile=0), LARGE if way == "plain" else SMALL
    config = PackConfig(split="train", preparation=how, workers=workers, shard_size=size)
    started = time.perf_counter()
    pack(tree, str(OUT / "out"), config)
    return {"seconds": time.perf_counter() - started}


def gnu_tar(tree: Path) -> float:
    started = time.perf_counter()
    subprocess.run(["tar", "-C", str(tree), "-cf", str(OUT / "all.tar"), "train"], check=True)
    return time.perf_counter() - started


def shardwriter(tree: Path) -> float:
    from webdataset.writer import ShardWriter

    started = time.perf_counter()
    classes = {folder.name: str(label).encode() for label, folder in enumerate(sorted((tree / "train").iterdir()))}
    files = sorted(path for path in (tree / "train").rglob("*") if path.is_file())
    with ShardWriter(
        str(OUT / "train-%06d.tar"), maxsize=100e6, maxcount=1_000_000, verbose=0, encoder=False
    ) as writer:
        for path in files:
            key = f"{path.parent.name}-{path.stem}"
            writer.write({"__key__": key, "cls": classes[path.parent.name], "jpg": path.read_bytes()})
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
