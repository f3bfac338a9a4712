"""The sample dataset, drawn by the program in the layout of the Kaggle ILSVRC download."""

import argparse
import json
import multiprocessing
import os
import platform
import shutil
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from tarn.sharding.children import end_with_the_parent, killed
from tarn.sharding.errors import TarnError, UsageError
from tarn.sharding.progress import progress_bar
from tarn.sharding.sample.drawing import SHAPES, TEXTURES, draw, encode

VERSION = 3
CLASSES = [(shape, texture) for shape in SHAPES for texture in TEXTURES]
WNIDS = [f"n9{900001 * (index + 1):07d}" for index in range(len(CLASSES))]
PICTURES = Path("ILSVRC", "Data", "CLS-LOC")
MARKER = "sample.json"  # beside the layout, written last: what was drawn


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleConfig:
    """Pictures of each of the ten classes, and the seed of everything drawn."""

    train_per_class: int = 200
    val_per_class: int = 40
    seed: int = 0
    version: int = VERSION

    def __post_init__(self) -> None:
        for name in ("train_per_class", "val_per_class"):
            if getattr(self, name) < 1:
                raise UsageError(f"--{name.replace('_', '-')}={getattr(self, name)} must be at least 1.")


@dataclass(frozen=True, slots=True)
class Job:
    """One picture to draw. stream: what seeds its random numbers, besides the sample's seed."""

    path: Path
    label: int
    oddity: str
    stream: tuple[int, ...]


def draw_sample(out: Path, config: SampleConfig, workers: int) -> bool:
    """Draws into a folder beside `out` and renames it. Returns False where the very sample was there already.

    Raises UsageError where something else is at `out`.
    """
    if out.exists():
        if (out / MARKER).is_file() and json.loads((out / MARKER).read_text()) == asdict(config):
            return False
        raise UsageError(f"{out} is there and is not this sample: remove it or choose another folder.")
    temporary = out.with_name(f".{out.name}.drawing-{platform.node()}-{os.getpid()}")
    try:
        labels = val_labels(config)
        boxes = draw_all([*train_jobs(temporary, config), *val_jobs(temporary, labels, config.seed)], workers)
        write_solution(temporary / "LOC_val_solution.csv", labels, boxes[-len(labels) :], config.seed)
        names = [f"{wnid} {texture} {shape}, {shape}" for wnid, (shape, texture) in zip(WNIDS, CLASSES, strict=True)]
        (temporary / "LOC_synset_mapping.txt").write_text("\n".join(names) + "\n")
        (temporary / MARKER).write_text(json.dumps(asdict(config)) + "\n")
        temporary.rename(out)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return True


def train_jobs(root: Path, config: SampleConfig) -> Iterator[Job]:
    for label, wnid in enumerate(WNIDS):
        rng = np.random.default_rng([config.seed, 3, label])
        numbers = np.sort(rng.permutation(config.train_per_class * 12)[: config.train_per_class])
        for index, number in enumerate(numbers):
            path = root / PICTURES / "train" / wnid / f"{wnid}_{number}.JPEG"
            yield Job(path, label, oddity(index * len(WNIDS) + label), (config.seed, 0, label, index))


def val_jobs(root: Path, labels: list[int], seed: int) -> Iterator[Job]:
    for index, label in enumerate(labels):
        path = root / PICTURES / "val" / f"{val_name(index)}.JPEG"
        yield Job(path, label, oddity(index), (seed, 1, label, index))


def val_labels(config: SampleConfig) -> list[int]:
    """Of picture 1, 2, ...: all classes equally often, in no order."""
    labels = np.repeat(np.arange(len(WNIDS)), config.val_per_class)
    return [int(label) for label in np.random.default_rng([config.seed, 2]).permutation(labels)]


def val_name(index: int) -> str:
    return f"ILSVRC2012_val_{index + 1:08d}"


def oddity(index: int) -> str:
    """The oddities of the real set: 2 % greyscale, a CMYK JPEG, a PNG named .JPEG, a progressive one."""
    rare = {3: "cmyk", 5: "png", 8: "progressive"}
    return rare.get(index, "grey" if index % 50 == 1 else "none")


def draw_all(jobs: list[Job], workers: int) -> list[tuple[int, int, int, int]]:
    """Boxes in the order of the jobs; a picture depends on its own stream alone, never on the workers."""
    for folder in {job.path.parent for job in jobs}:
        folder.mkdir(parents=True, exist_ok=True)
    with progress_bar(len(jobs), "drawing", "img") as bar:
        boxes = []
        if workers == 1:
            for job in jobs:
                boxes.append(draw_one(job))
                bar.update()
            return boxes
        context = multiprocessing.get_context("spawn")
        try:
            with ProcessPoolExecutor(workers, context, initializer=end_with_the_parent) as pool:
                for box in pool.map(draw_one, jobs, chunksize=16):
                    boxes.append(box)
                    bar.update()
        except BrokenProcessPool as error:
            raise TarnError(killed("drawing")) from error
        return boxes


def draw_one(job: Job) -> tuple[int, int, int, int]:
    rng = np.random.default_rng(list(job.stream))
    drawn = draw(*CLASSES[job.label], rng)
    job.path.write_bytes(encode(drawn.image, job.oddity, rng))
    return drawn.box


def write_solution(path: Path, labels: list[int], boxes: list[tuple[int, int, int, int]], seed: int) -> None:
    """Rows in no order, several boxes in some, the trailing blank of the real file kept."""
    rng = np.random.default_rng([seed, 4])
    rows = ["ImageId,PredictionString"]
    for index in rng.permutation(len(labels)):
        box = f"{WNIDS[labels[index]]} {' '.join(map(str, boxes[index]))} "
        rows.append(f"{val_name(int(index))},{box * int(rng.integers(1, 4))}")
    path.write_text("\n".join(rows) + "\n")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    config = SampleConfig()
    parser.add_argument("out", type=Path, metavar="OUT")
    parser.add_argument("--train-per-class", type=int, default=config.train_per_class, help="(%(default)s)")
    parser.add_argument("--val-per-class", type=int, default=config.val_per_class, help="(%(default)s)")
    parser.add_argument("--seed", type=int, default=config.seed, help="(%(default)s)")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="processes (%(default)s)")


def run(args: argparse.Namespace) -> None:
    if args.workers < 1:
        raise UsageError(f"--workers={args.workers} must be at least 1.")
    config = SampleConfig(train_per_class=args.train_per_class, val_per_class=args.val_per_class, seed=args.seed)
    out = args.out.expanduser()
    fresh = draw_sample(out, config, args.workers)
    train, val = (len(WNIDS) * count for count in (config.train_per_class, config.val_per_class))
    print(
        f"{out}: {train:,} train and {val:,} val pictures of {len(WNIDS)} classes, "
        f"{'drawn' if fresh else 'up to date'}. Next: python -m tarn.sharding pack {out} OUT"
    )
