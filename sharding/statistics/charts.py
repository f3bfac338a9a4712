"""Bar charts of a dataset's numbers: what is on each, before it is drawn."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tarn.sharding.statistics.collect import Numbers

BINS = 40
MOST_BARS = 500  # of classes; of more, neighbours share a bar


@dataclass(frozen=True, slots=True)
class Chart:
    """name: of the file. edges: of the bars on the x axis, one more than there are bars; None for bars that are a
    ranking. labels: of bars that lie, one below the other."""

    name: str
    title: str
    x: str
    y: str
    heights: tuple[float, ...]
    edges: tuple[float, ...] | None = None
    labels: tuple[str, ...] | None = None


def charts(numbers: Iterable[Numbers]) -> Iterator[Chart]:
    """Classes, sizes and bytes of each split, and the share that is tiled of all."""
    told = list(numbers)
    for it in told:
        yield classes_chart(it)
        sides = np.maximum(it.looks.widths, it.looks.heights) if it.looks.widths else np.zeros(0)
        title = f"{it.name}: longer side of a picture, {len(sides):,} of {it.split.samples:,} looked at"
        yield histogram_chart(f"{it.name}-sizes", title, "px", sides)
        title = f"{it.name}: bytes of a picture, {it.split.samples:,} in all"
        yield histogram_chart(f"{it.name}-bytes", title, "KB", it.sizes / 1000)
    if any(it.untiled is not None for it in told):
        yield tiled_chart(told)


def classes_chart(numbers: Numbers) -> Chart:
    counts = np.sort(numbers.counts)[::-1]
    parts = np.array_split(counts, min(len(counts), MOST_BARS))
    title = f"{numbers.name}: pictures of a class, {len(counts):,} classes, {counts[-1]:,} to {counts[0]:,}"
    return Chart(
        f"{numbers.name}-classes",
        title,
        "classes, the largest first",
        "pictures",
        tuple(float(p.mean()) for p in parts),
    )


def histogram_chart(name: str, title: str, unit: str, values: NDArray[np.float64]) -> Chart:
    """Up to the 99.5th percentile; what lies beyond is in the last bar."""
    if not len(values):
        return Chart(name, title, unit, "pictures", (0.0,), (0.0, 1.0))
    low, high = 0.0, float(np.percentile(values, 99.5)) or 1.0
    counts, edges = np.histogram(np.minimum(values, high), BINS, (low, high))
    beyond = int((values > high).sum())
    x = unit if not beyond else f"{unit} (the last bar: {beyond:,} larger ones too)"
    return Chart(name, title, x, "pictures", tuple(counts.astype(float).tolist()), tuple(edges.tolist()))


def tiled_chart(numbers: list[Numbers]) -> Chart:
    """In percent of each split."""
    rows: list[tuple[str, float]] = []
    for it in numbers:
        if it.untiled is None:
            continue
        total = max(1, it.split.samples)
        rows.append((f"{it.name}: tiled", 100 * (total - sum(it.untiled.values())) / total))
        rows += [(f"{it.name}: {reason}", 100 * count / total) for reason, count in it.untiled.items()]
    labels, heights = zip(*rows, strict=True)
    return Chart(
        "tiled", "pictures that are tiled, and why others are not", "% of the split", "", heights, labels=labels
    )
