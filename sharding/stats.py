"""What a packed dataset holds, as text."""

import os
from collections import Counter

import numpy as np
from numpy.typing import NDArray

from tarn.sharding import storage
from tarn.sharding.format.manifest import Manifest, Split, parse_index
from tarn.sharding.packing.inspection import BROKEN, describe

LOOKED_AT = 2000  # pictures whose headers are read; counts and bytes are of all
BAR = 40


def stats(root: str | os.PathLike[str], manifest: Manifest) -> str:
    """Counts, bytes, histograms of bytes, sides and classes, of every split."""
    root = os.fspath(root)
    lines = [f"{root}: {len(manifest.classes)} classes, splits {', '.join(manifest.splits)}"]
    for name, split in manifest.splits.items():
        lines += ["", f"{name}: {split.samples:,} pictures in {len(split.shards)} shards, {split.bytes:,} bytes"]
        if split.skipped:
            lines.append(f"  {split.skipped:,} pictures of the source were skipped as unreadable, see {split.report}")
        indexes = [read_index(root, shard.index_name) for shard in split.shards]
        records = np.concatenate(indexes)
        lines += ["  bytes of a picture:", *histogram(records["size"], (0, 8e3, 32e3, 64e3, 128e3, 256e3, 512e3, 1e12))]
        lines += header_lines(manifest.shards_root(root), split, indexes)
        lines += class_lines(manifest, records["label"])
    return "\n".join(lines)


def read_index(root: str, name: str) -> NDArray[np.void]:
    url = storage.join(root, name)
    return parse_index(storage.read_bytes(url), url)


def histogram(values: NDArray[np.generic], edges: tuple[float, ...]) -> list[str]:
    """One line a bin that is not empty, with a bar; the last bin is open."""
    counts, _ = np.histogram(values, edges)
    lines = []
    for count, low, high in zip(counts.tolist(), edges, edges[1:], strict=False):
        if count:
            label = f"{low:,.0f} to {high:,.0f}" if high != edges[-1] else f"from {low:,.0f}"
            lines.append(f"    {label:>22} {count:>9,}  {'#' * max(1, round(BAR * count / max(counts)))}")
    return lines


def header_lines(root: str, split: Split, indexes: list[NDArray[np.void]]) -> list[str]:
    """Sides, formats and modes, from evenly spread pictures. root: of the tars."""
    places = [(shard, row) for shard, index in enumerate(indexes) for row in range(len(index))]
    chosen = places[:: max(1, len(places) // LOOKED_AT)]
    looks, broken = [], 0
    for shard, row in chosen:
        offset, size, _, _ = indexes[shard][row].item()
        try:
            looks.append(describe(storage.read_range(storage.join(root, split.shards[shard].name), offset, size)))
        except BROKEN:
            broken += 1
    sides = {side: np.array([look[side] for look in looks]) for side in ("width", "height")}
    edges = (0, 64, 128, 256, 384, 512, 768, 1024, 2048, 1e9)
    kinds = Counter(f"{look['format']} {look['mode']}" for look in looks)
    lines = [f"  headers of {len(chosen):,} pictures, {broken} unreadable:"]
    lines.append("    " + ", ".join(f"{kind} {count:,}" for kind, count in kinds.most_common()))
    for side, values in sides.items():
        if len(values):
            lines += [f"  {side}, median {np.median(values):.0f} px:", *histogram(values, edges)]
    return lines


def class_lines(manifest: Manifest, labels: NDArray[np.int32]) -> list[str]:
    counts = np.bincount(labels, minlength=len(manifest.classes))
    order = np.argsort(counts, kind="stable")
    lines = [f"  pictures of a class: least {counts.min():,}, median {np.median(counts):,.0f}, most {counts.max():,}"]
    lines += histogram(counts, tuple(np.unique(np.linspace(counts.min(), counts.max() + 1, 6).round())))
    for title, chosen in (("fewest", order[:5]), ("most", order[::-1][:5])):
        named = ", ".join(f"{manifest.classes[i].wnid} {counts[i]:,}" for i in chosen)
        lines.append(f"    {title}: {named}")
    return lines
