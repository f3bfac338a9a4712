"""How well an epoch is shuffled when the shards are sorted by class: Tarn, WebDataset and Mosaic Streaming.

    python -m benchmarks.shuffle --plot docs/shuffle.png

Nothing is read: samples are numbers, class after class. WebDataset runs its own stages, Streaming its own `py1e` where
`mosaicml-streaming` is installed; the plot needs matplotlib. Prints a table, the smallest window first.
"""

import argparse
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice, zip_longest
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from webdataset import filters
from webdataset.compat import WebDataset
from webdataset.pipeline import DataPipeline

from tarn.training.streaming.order import EpochOrder

try:
    from streaming.base.shuffle import get_shuffle
except ImportError:
    get_shuffle = None

Ints = NDArray[np.int64]
CLASSES, SHARD, BATCH = 1000, 900, 256
HEAD = "| order | window: samples | shards open | entropy, bits | classes | Pearson | displacement |"


class Scheme(NamedTuple):
    """An order by epoch. window: samples shuffled among each other; by workers in RAM, or with 0 on disk."""

    name: str
    window: int
    order: Callable[[int], Ints]
    workers: int = 0


def schemes(sizes: Ints, seed: int) -> list[Scheme]:
    total, shard = int(sizes.sum()), int(sizes.mean())
    found = [Scheme("uniform", total, lambda epoch: np.random.default_rng(epoch).permutation(total))]
    for lanes, active in ((1, 1), (11, 11), (8, 32), (64, 128), (8, 288), (8, 8 * len(sizes))):
        name = f"Tarn, {lanes} / {'all' if active > len(sizes) else active}"
        found.append(Scheme(name, min(total, active * shard), partial(tarn, sizes, seed, lanes, active)))
    found.append(Scheme("Tarn's own shards, 8 / 32", 32 * shard, partial(tarn, sizes, seed, 8, 32)))
    for buffer, fresh, workers, again in ((1000, 0, 1, 0), (10000, 0, 1, 0), (10000, 1, 1, 0), (1000, 0, 8, 5000)):
        name = f"WebDataset, {buffer:,}" + ", detshuffle" * fresh + f", {workers} workers, {again:,}" * (again > 0)
        theirs = WebDatasetOrder(sizes, seed, buffer, fresh, workers, again)
        found.append(Scheme(name, buffer * workers + again, theirs.epoch, workers))
    for block in (32 * shard, 128 * shard, 1 << 18, 4_000_000) if get_shuffle else ():
        order = partial(get_shuffle, "py1e", sizes, 1, 9176 + seed, block_size=block)
        found.append(Scheme(f"Streaming, py1e, block {block:,}", min(total, block), order))
    return sorted(found, key=lambda scheme: scheme.window)


def tarn(sizes: Ints, seed: int, lanes: int, active: int, epoch: int) -> Ints:
    shards, places = EpochOrder(sizes, seed, epoch, lanes, active).locate(np.arange(sizes.sum()))
    return (np.cumsum(sizes) - sizes)[shards] + places


class WebDatasetOrder:
    """WebDataset(shardshuffle=100).shuffle(buffer); fresh: detshuffle of all shards; again: of the loader's own."""

    def __init__(self, sizes: Ints, seed: int, buffer: int, fresh: int, workers: int, again: int) -> None:
        samples = np.split(np.arange(sizes.sum()), np.cumsum(sizes)[:-1])
        self.samples = {f"{shard}.tar": numbers.tolist() for shard, numbers in enumerate(samples)}
        self.buffer, self.again = buffer, again
        urls, shards = list(self.samples), len(sizes) if fresh else 100
        self.sets = [
            WebDataset(urls[first::workers], seed=seed, shardshuffle=shards, detshuffle=fresh > 0)
            for first in range(workers)
        ]

    def epoch(self, epoch: int) -> Ints:
        streams = []
        for worker, dataset in enumerate(self.sets):
            shards = DataPipeline(*dataset.pipeline[:4])  # its stages before a shard is opened
            numbers = (number for shard in shards for number in self.samples[shard["url"]])
            streams.append(filters.shuffle(self.buffer, seed=100 * epoch + worker)(numbers))
        samples = in_turns(streams)
        return np.fromiter(filters.shuffle(self.again, seed=epoch)(samples) if self.again else samples, np.int64)


def in_turns(streams: list[Iterator[int]], batch: int = 64) -> Iterator[int]:
    """A batch of each worker in turn, as torch's DataLoader does."""
    batches = [cut(stream, batch) for stream in streams]
    yield from (number for turn in zip_longest(*batches, fillvalue=[]) for taken in turn for number in taken)


def cut(stream: Iterator[int], batch: int) -> Iterator[list[int]]:
    while taken := list(islice(stream, batch)):
        yield taken


def measure(scheme: Scheme, sizes: Ints, labels: Ints) -> tuple[int, float, float, float, float]:
    """Shards open at once, class entropy and classes of a batch, Pearson and mean displacement of epochs 0 and 1."""
    epochs, total, batches = [scheme.order(epoch) for epoch in (0, 1)], len(labels), len(labels) // BATCH
    places = np.stack([np.argsort(epoch) for epoch in epochs])
    assert all((np.sort(epoch) == np.arange(total)).all() for epoch in epochs)
    cells = np.repeat(np.arange(batches) * CLASSES, BATCH) + labels[epochs[0][: batches * BATCH]]
    share = np.bincount(cells)[np.unique(cells)] / BATCH
    entropy, pearson = -(share * np.log2(share)).sum() / batches, np.corrcoef(places[0], places[1])[0, 1]
    used = scheme.workers or open_shards(places[0], sizes)
    return used, entropy, len(share) / batches, pearson, np.abs(np.diff(places, axis=0)).mean() / total


def open_shards(places: Ints, sizes: Ints) -> int:
    """The most shards that are needed at once; one that rests for a quarter of the epoch is closed meanwhile."""
    shards = np.repeat(np.arange(len(sizes)), sizes)
    used = np.lexsort((places, shards))
    border = (np.diff(shards[used]) > 0) | (np.diff(places[used]) > len(places) // 4)
    change = np.bincount(places[used][np.r_[True, border]], minlength=len(places) + 1)
    change[1:] -= np.bincount(places[used][np.r_[border, True]], minlength=len(places))
    return int(np.cumsum(change).max())


def plot(path: str, points: dict[str, list[tuple[int, float]]]) -> None:
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 4.2), layout="constrained")
    ideal = points.pop("uniform")[0][1]
    axes.axhline(ideal, color="grey", linestyle="--", label=f"uniform: {ideal:.2f} bits")
    for (family, found), style in zip(points.items(), ("o-", "s", "*", "^-"), strict=False):
        axes.plot(*zip(*found, strict=True), style, label=family, markersize=11 if style == "*" else 6)
    axes.set(xscale="log", ylim=0, xlabel="samples that are shuffled among each other (on disk; WebDataset's in RAM)")
    axes.set(ylabel=f"class entropy of a batch of {BATCH}, bits", title="1,000 classes, shards of 900 sorted by class")
    axes.legend()
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=1_281_167)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--plot", metavar="FILE.png")
    args = parser.parse_args()
    rng = np.random.default_rng(args.seed)
    ends = np.cumsum(rng.integers(SHARD - 100, SHARD + 101, args.samples // SHARD))
    sizes = np.diff([0, *ends[ends < args.samples], args.samples])
    labels = np.arange(args.samples) * CLASSES // args.samples
    packed = rng.permutation(labels)
    points: dict[str, list[tuple[int, float]]] = {}
    print(f"{args.samples:,} samples in {len(sizes):,} shards, {CLASSES:,} classes, batch {BATCH}, seed {args.seed}")
    print("left out: Streaming, as mosaicml-streaming is not installed\n" * (get_shuffle is None))
    print(HEAD, "|---|" + "---:|" * 6, sep="\n")
    for scheme in schemes(sizes, args.seed):
        found = measure(scheme, sizes, packed if "own" in scheme.name else labels)
        window = f"| {scheme.name} | {scheme.window:,}" + " in RAM" * (scheme.workers > 0)
        print(window, "| {:,} | {:.2f} | {:.0f} | {:+.2f} | {:.3f} |".format(*found), flush=True)
        points.setdefault(scheme.name.split(",")[0], []).append((scheme.window, found[1]))
    if args.plot:
        plot(args.plot, points)


if __name__ == "__main__":
    main()
