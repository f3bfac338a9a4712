"""Packing the training pictures of a Kaggle tree from the tree, from a zip (stored, deflated), from nested tars and
from WebDataset shards, those of others and our own.

    python -m benchmarks.archives DATA [--rounds 5] [--tile]

In turns in one process on one core, every other round the other way about; wall time and processor time of packing
alone, listing included. The archives are made once, under build/bench, and have been read before they are measured.
"""

import argparse
import io
import random
import shutil
import statistics
import tarfile
import time
import zipfile
from pathlib import Path

from benchmarks.machine import describe, pin
from benchmarks.rounds import ratio
from tarn.sharding.packing.pack import PackConfig, pack
from tarn.sharding.packing.preparation import Preparation
from tarn.sharding.sources.find import read_source
from tarn.sharding.sources.ilsvrc import TRAIN
from tarn.sharding.sources.kaggle import PICTURES, SYNSETS

HOME = Path("build/bench/archives")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tile", action="store_true", help="tile as `pack` does; without, bytes are kept")
    args = parser.parse_args()
    pin(1)
    given = prepared(args.source)
    config = PackConfig(split="train", expect="none", preparation=Preparation() if args.tile else Preparation(tile=0))
    wall: dict[str, list[float]] = {name: [] for name in given}
    work: dict[str, list[float]] = {name: [] for name in given}
    for number in range(args.rounds + 1):
        for name, source in list(given.items())[:: 1 if number % 2 else -1]:
            seconds, busy = packed(source, config)
            if number:  # the first round warms up
                wall[name].append(seconds)
                work[name].append(busy)
    print(f"{describe()}, {args.rounds} rounds in turns, {'tiled' if args.tile else 'not tiled'}\n")
    print("| from | s | range | x the tree's | processor s | x the tree's |\n|---|---:|---:|---:|---:|---:|")
    for name in given:
        times, busy_times = wall[name], work[name]
        print(
            f"| {name} | {statistics.median(times):.2f} | {min(times):.2f} to {max(times):.2f} | "
            f"{ratio(times, wall['tree']):.3f} | {statistics.median(busy_times):.2f} | "
            f"{ratio(busy_times, work['tree']):.3f} |"
        )


def packed(source: Path, config: PackConfig) -> tuple[float, float]:
    out = HOME / "out"
    shutil.rmtree(out, ignore_errors=True)
    started, busy = time.perf_counter(), time.process_time()
    pack(source, out, config)
    return time.perf_counter() - started, time.process_time() - busy


def prepared(source: Path) -> dict[str, Path]:
    HOME.mkdir(parents=True, exist_ok=True)
    given = {"tree": source, "stored zip": HOME / "stored.zip", "deflated zip": HOME / "deflated.zip"}
    for name, method in (("stored zip", zipfile.ZIP_STORED), ("deflated zip", zipfile.ZIP_DEFLATED)):
        with zipfile.ZipFile(given[name], "w", method) as out:
            for path in (source / SYNSETS, *sorted((source / PICTURES / "train").rglob("*.*"))):
                out.write(path, path.relative_to(source))
    given["nested tars"] = HOME / TRAIN
    with tarfile.open(given["nested tars"], "w") as train:
        for folder in sorted((source / PICTURES / "train").iterdir()):
            inner = io.BytesIO()
            with tarfile.open(fileobj=inner, mode="w") as tar:
                for path in sorted(folder.iterdir()):
                    tar.add(path, path.name)
            member = tarfile.TarInfo(f"{folder.name}.tar")
            member.size = len(inner.getvalue())
            train.addfile(member, io.BytesIO(inner.getvalue()))
    given["shards of others"] = sharded(source, HOME / "shards")
    given["our own shards"] = HOME / "packed"
    shutil.rmtree(HOME / "packed", ignore_errors=True)
    pack(source, HOME / "packed", PackConfig(split="train", expect="none", preparation=Preparation(tile=0)))
    return given


def sharded(source: Path, folder: Path) -> Path:
    """The training pictures shuffled, 250 a tar."""
    folder.mkdir(exist_ok=True)
    pictures = list(read_source(source, "train").splits["train"])
    random.Random(0).shuffle(pictures)
    for start in range(0, len(pictures), 250):
        with tarfile.open(folder / f"train-{start // 250:04d}.tar", "w") as tar:
            for picture in pictures[start : start + 250]:
                for ending, data in (("jpg", picture.place.read()), ("cls", b"%d" % picture.label)):
                    member = tarfile.TarInfo(f"{picture.key}.{ending}")
                    member.size = len(data)
                    tar.addfile(member, io.BytesIO(data))
    return folder


if __name__ == "__main__":
    main()
