"""Bulk prediction beside the network alone: what reading, decoding and writing cost.

    python -m benchmarks.bulk SOURCE... [--arch resnet50] [--cores 2] [--pictures 256] [--rounds 5]

The network has random weights, and float32 batches of 32 pictures of 224 px. "forward" is TorchScorer.logits alone, on
a batch in memory; "bulk" is the job behind `predict --out x.csv`: its decoding processes, the same network on the
same cores, and its parts on a disk, from the first picture to the last part. Loading the model, starting processes and
listing pictures are counted for neither. Both take turns on the same pictures; images/s are medians of the rounds, by
the clock and by the processors' time of all processes (which other programs on the cores disturb less), the ratio the
median of each round's.
"""

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from benchmarks.machine import describe, pin, tree
from tarn.inference.bulk.decoding import Decoders
from tarn.inference.bulk.formats import Csv
from tarn.inference.bulk.job import Job, Share
from tarn.inference.bulk.parts import Parts
from tarn.inference.limits import USUAL
from tarn.inference.models.scorer import Scorer
from tarn.inference.models.torch_scorer import TorchScorer
from tarn.inference.sources import Unit
from tarn.inference.sources.words import RUN, Sources, run_of
from tarn.sharding.format.manifest import ClassInfo
from tarn.training.export.card import Card
from tarn.training.model.network import Network
from tarn.training.pixels.preprocessing import Preprocessing

BATCH, CLASSES = 32, 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sources", nargs="+", metavar="SOURCE")
    parser.add_argument("--arch", default="resnet50")
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--pictures", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    pin(args.cores)
    torch.set_num_threads(args.cores)
    units, scorer = units_of(args.sources, args.pictures), scorer_of(args.arch)
    count = sum(unit.count or 0 for unit in units)
    decoders = Decoders(args.workers)
    try:
        decoders.set_up(scorer.card.preprocessing, BATCH, "exif", USUAL)
        bulk(units[:1], scorer, decoders)
        rounds = [(forward(count, scorer), bulk(units, scorer, decoders)) for _ in range(args.rounds)]
    finally:
        decoders.close()
    print(f"{describe()}; {args.arch}, {count} pictures, {args.workers} decoding processes, {args.rounds} rounds")
    for kind, which in (("by the clock", 0), ("by processor time", 1)):
        alone, beside = ([spent[which] for spent in way] for way in zip(*rounds, strict=True))
        ratio = statistics.median(one / other for one, other in zip(alone, beside, strict=True))
        rates = [count / statistics.median(seconds) for seconds in (alone, beside)]
        print(f"{kind:18} forward {rates[0]:8.2f} images/s, bulk {rates[1]:8.2f} images/s, ratio {ratio:.3f}")


def units_of(sources: list[str], most: int) -> list[Unit]:
    pictures = [picture for unit in Sources(words=sources).units() for picture in unit.open()]
    pictures = pictures[: min(most, len(pictures)) // BATCH * BATCH]
    return [run_of(pictures[first : first + RUN]) for first in range(0, len(pictures), RUN)]


def scorer_of(arch: str) -> Scorer:
    preprocessing = Preprocessing()
    network = Network(arch=arch, num_classes=CLASSES, side=preprocessing.crop)
    classes = tuple(ClassInfo(f"n{number:08d}", f"class {number}") for number in range(CLASSES))
    card = Card(arch=arch, small_stem=False, classes=classes, preprocessing=preprocessing, provenance={})
    return TorchScorer(network.build().eval(), card, torch.device("cpu"))


class Spent:
    """Seconds from here on: by the clock, and of processors, by this process and all that it has started."""

    def __init__(self) -> None:
        self.clock, self.processors = time.perf_counter(), processor_time()

    def so_far(self) -> tuple[float, float]:
        return time.perf_counter() - self.clock, processor_time() - self.processors


def processor_time() -> float:
    """Of processes that are there (proc(5), stat: utime and stime)."""
    ticks = 0
    for process in tree(os.getpid()):
        fields = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def forward(count: int, scorer: Scorer) -> tuple[float, float]:
    crop = scorer.card.preprocessing.crop
    pixels = np.random.default_rng(0).integers(0, 256, (BATCH, crop, crop, 3), np.uint8)
    spent = Spent()
    for _ in range(count // BATCH):
        scorer.logits(pixels)
    return spent.so_far()


def bulk(units: list[Unit], scorer: Scorer, decoders: Decoders) -> tuple[float, float]:
    with tempfile.TemporaryDirectory() as folder:
        parts = Parts(Path(folder) / "results.csv", {})
        with parts.owned():
            job = Job(units, parts, Share())
            spent = Spent()
            job.run(scorer, decoders, Csv(scorer.card.classes, 5), BATCH)
            return spent.so_far()


if __name__ == "__main__":
    main()
