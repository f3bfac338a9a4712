"""What a packed dataset holds, as text."""

import os
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from tarn.sharding.archives.headers import shown
from tarn.sharding.format.manifest import Manifest, Split
from tarn.sharding.kinds import counted_kind
from tarn.sharding.sizes import counted
from tarn.sharding.statistics.collect import Looks, Numbers

BAR = 40
BYTES = (0, 8e3, 32e3, 64e3, 128e3, 256e3, 512e3, 1e12)
SIDES = (0, 64, 128, 256, 384, 512, 768, 1024, 2048, 1e9)


def text_of(root: str | os.PathLike[str], manifest: Manifest, numbers: Iterable[Numbers]) -> str:
    """Counts, bytes, histograms of bytes, sides and classes, of every split."""
    lines = [
        f"{os.fspath(root)}: {counted_kind(len(manifest.classes), 'classes')}, splits {', '.join(manifest.splits)}"
    ]
    for it in numbers:
        split = it.split
        lines += ["", f"{it.name}: {held(split)}, {split.bytes:,} bytes"]
        if split.skipped:
            lines.append(f"  {split.skipped:,} pictures of the source were skipped as unreadable, see {split.report}")
        lines += ["  bytes of a picture:", *histogram(it.sizes, BYTES)]
        lines += tiled_lines(it)
        lines += header_lines(it.looks)
        lines += class_lines(manifest, it.counts)
    return "\n".join(lines)


def held(split: Split) -> str:
    return f"{counted(split.samples, 'picture')} in {counted(len(split.shards), 'shard')}"


def tiled_lines(numbers: Numbers) -> list[str]:
    """How many are tiled, and why others are not; nothing of tars that somebody else packed."""
    if numbers.untiled is None:
        return []
    tiled = numbers.split.samples - sum(numbers.untiled.values())
    why = ", ".join(f"{reason} {count:,}" for reason, count in numbers.untiled.items())
    return [f"  tiled: {tiled:,} of {numbers.split.samples:,}" + (f" (others: {why})" if why else "")]


def histogram(values: NDArray[np.generic], edges: tuple[float, ...]) -> list[str]:
    """One line a bin that is not empty, with a bar; the last bin is open."""
    counts, _ = np.histogram(values, edges)
    lines = []
    for count, low, high in zip(counts.tolist(), edges, edges[1:], strict=False):
        if count:
            label = f"{low:,.0f} to {high:,.0f}" if high != edges[-1] else f"from {low:,.0f}"
            lines.append(f"    {label:>22} {count:>9,}  {'#' * max(1, round(BAR * count / max(counts)))}")
    return lines


def header_lines(looks: Looks) -> list[str]:
    """Sides, formats and modes."""
    lines = [f"  headers of {looks.count:,} pictures, {looks.broken} unreadable:"]
    lines.append("    " + ", ".join(f"{kind} {count:,}" for kind, count in looks.kinds.most_common()))
    for side, values in (("width", np.array(looks.widths)), ("height", np.array(looks.heights))):
        if len(values):
            lines += [f"  {side}, median {np.median(values):.0f} px:", *histogram(values, SIDES)]
    return lines


def class_lines(manifest: Manifest, counts: NDArray[np.int64]) -> list[str]:
    if not manifest.classes:
        return []
    order = np.argsort(counts, kind="stable")
    lines = [f"  pictures of a class: least {counts.min():,}, median {np.median(counts):,.0f}, most {counts.max():,}"]
    lines += histogram(counts, tuple(np.unique(np.linspace(counts.min(), counts.max() + 1, 6).round())))
    for title, chosen in (("fewest", order[:5]), ("most", order[::-1][:5])):
        named = ", ".join(f"{shown(manifest.classes[i].wnid)} {counts[i]:,}" for i in chosen)
        lines.append(f"    {title}: {named}")
    return lines
