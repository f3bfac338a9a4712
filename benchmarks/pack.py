"""Packing: with tiling and without, against webdataset's ShardWriter on the same files, in turns.

    python -m benchmarks.pack DATA [--files 4000] [--rounds 5]

The pictures under several names (hard or symbolic links). Each turn is a process of its own: seconds of the work alone,
and of the whole process with its start. Tiling is measured on one core, by one process.
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path)
    parser.add_argument("--files", type=int, default=4000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, default=Path("build/bench/pack.json"), metavar="FILE")
    parser.add_argument("--turn", help="internal: what this process is to do")
    args = parser.parse_args()
    if args.turn:
        print(json.dumps(turn(args.turn, args.source)))
        return
    tree, count = linked(prepared(args.source).files(), args.files)
    ways = ("shardwriter", "plain", "tiled on one core")
    work: dict[str, list[float]] = {way: [] for way in ways}
    whole: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(args.rounds):
        for way in ways:
            started = time.perf_counter()
            command = [sys.executable, "-m", "benchmarks.pack", str(tree), "--turn", way]
            told = json.loads(
                subprocess.run(command, check=True, capture_output=True, text=True).stdout.split("\n")[-2]
            )
            whole[way].append(count / (time.perf_counter() - started))
            work[way].append(count / told["seconds"])
    shutil.rmtree(OUT, ignore_errors=True)
    print(f"{describe()}, {count} files, {args.rounds} rounds in turns\n")
    print("| way | images/s, work alone | range | images/s, start and imports included |\n|---|---:|---:|---:|")
    for way in ways:
        rates, all_of_it = work[way], statistics.median(whole[way])
        print(f"| {way} | {statistics.median(rates):.0f} | {min(rates):.0f} to {max(rates):.0f} | {all_of_it:.0f} |")
    bars = [
        Bar("packing with tiling on one core", statistics.median(work["tiled on one core"]), ">=", 300, " images/s"),
        Bar("packing without tiling, hashed, x ShardWriter", ratio(work["plain"], work["shardwriter"]), ">=", 1.5),
    ]
    show(bars)
    keep(args.json, {"work": work, "whole": whole}, bars)


def linked(files: list[Path], wanted: int) -> tuple[Path, int]:
    """An ImageFolder tree of so many links to the pictures."""
    tree = OUT.parent / f"packing-{len(files)}-{wanted}"
    for number in range(wanted):
        source = files[number % len(files)]
        link = tree / "train" / source.parent.name / f"{number // len(files)}-{source.name}"
        link.parent.mkdir(parents=True, exist_ok=True)
        if not link.is_symlink():
            link.symlink_to(source)
    return tree, wanted


def turn(way: str, tree: Path) -> dict[str, float]:
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    if way == "shardwriter":
        return {"seconds": shardwriter(tree)}
    from tarn.sharding.packing.pack import PackConfig, pack
    from tarn.sharding.packing.preparation import Preparation

    if way == "plain":
        config = PackConfig(split="train", preparation=Preparation(tile=0))
    else:
        pin(1)
        config = PackConfig(split="train")
    started = time.perf_counter()
    pack(tree, str(OUT / "out"), config)
    return {"seconds": time.perf_counter() - started}


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
