"""The numbers of a packed dataset: from its indexes, and from the headers of some pictures."""

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tarn.sharding.format.index import read_index
from tarn.sharding.format.manifest import UNLABELLED, Manifest, Split
from tarn.sharding.looking.windows import Windows
from tarn.sharding.packing.inspection import BROKEN, describe

LOOKED_AT = 2000  # pictures of a split whose headers are read; counts and bytes are of all


@dataclass(slots=True)
class Looks:
    """What headers tell. widths, heights: px; kinds: format and mode; broken: pictures that cannot be read."""

    widths: list[int] = field(default_factory=list)
    heights: list[int] = field(default_factory=list)
    kinds: Counter[str] = field(default_factory=Counter)
    broken: int = 0

    @property
    def count(self) -> int:
        return len(self.widths) + self.broken


@dataclass(frozen=True, slots=True)
class Numbers:
    """Of one split. sizes: bytes of each picture; counts: pictures of each class; untiled: pictures by the reason why
    they were not tiled, None where nobody knows (tars that somebody else packed)."""

    name: str
    split: Split
    sizes: NDArray[np.uint32]
    counts: NDArray[np.int64]
    looks: Looks
    untiled: Mapping[str, int] | None


def collect(root: str | os.PathLike[str], manifest: Manifest) -> Iterator[Numbers]:
    """Of every split. Raises TarnError."""
    root = os.fspath(root)
    for name, split in manifest.splits.items():
        indexes = [read_index(root, shard) for shard in split.shards]
        records = np.concatenate(indexes)
        looks = look(manifest.shards_root(root), split, indexes)
        labels = records["label"][records["label"] != UNLABELLED]
        counts = np.bincount(labels, minlength=len(manifest.classes))
        untiled = None if split.indexed else split.packed.get("left_untiled", {})
        yield Numbers(name, split, records["size"], counts, looks, untiled)


def look(root: str, split: Split, indexes: list[NDArray[np.void]]) -> Looks:
    """At evenly spread pictures. root: of the tars."""
    places = [(shard, row) for shard, index in enumerate(indexes) for row in range(len(index))]
    chosen: dict[int, list[int]] = {}
    for shard, row in places[:: max(1, len(places) // LOOKED_AT)]:
        chosen.setdefault(shard, []).append(row)
    looks, windows = Looks(), Windows(root)
    for shard, rows in chosen.items():
        records = indexes[shard][rows]
        ranges = [(offset, offset + size) for offset, size, _, _ in records.tolist()]
        for picture in windows.read(split.shards[shard].name, ranges):
            try:
                told = describe(picture)
            except BROKEN:
                looks.broken += 1
                continue
            looks.widths.append(told["width"])
            looks.heights.append(told["height"])
            looks.kinds[f"{told['format']} {told['mode']}"] += 1
    return looks
