"""A packed dataset opened to look at single samples."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tarn.sharding import storage
from tarn.sharding.errors import UsageError
from tarn.sharding.format.index import read_index
from tarn.sharding.format.manifest import UNLABELLED, Manifest, ShardInfo, Split, read_manifest
from tarn.sharding.looking.names import name_in, window_of
from tarn.sharding.looking.windows import Windows


@dataclass(frozen=True, slots=True)
class Located:
    """Where a sample lies. row: its place in the shard, from 0; offset, size: of its picture, in bytes."""

    split: str
    shard: ShardInfo
    row: int
    offset: int
    size: int
    label: int
    crc32: int


@dataclass(frozen=True, slots=True)
class Sample:
    """name: of the picture in the tar, its key and its ending."""

    located: Located
    name: str
    data: bytes


class Dataset:
    """Reads no tar beyond the ranges that are asked for."""

    def __init__(self, root: str) -> None:
        self.root = root
        self.manifest: Manifest = read_manifest(root)
        self.windows = Windows(self.manifest.shards_root(root))

    def split(self, name: str) -> Split:
        return self.manifest.split(name)

    def records(self, shard: ShardInfo) -> NDArray[np.void]:
        """Of dtype RECORD. Raises TarnError."""
        return read_index(self.root, shard)

    def url(self, shard: ShardInfo) -> str:
        return storage.join(self.windows.root, shard.name)

    def shards(self, names: Iterable[str] | None = None) -> Iterator[tuple[str, ShardInfo]]:
        """With the name of the split; of the splits given, or all."""
        for name in names if names is not None else self.manifest.splits:
            yield from ((name, shard) for shard in self.split(name).shards)

    def located(self, split: str, shard: ShardInfo, rows: Sequence[int] | None = None) -> list[Located]:
        """All of a shard's samples, or those of the rows."""
        records = self.records(shard)
        numbers = range(len(records)) if rows is None else rows
        return [Located(split, shard, row, *records[row].item()) for row in numbers]

    def read(self, places: Sequence[Located]) -> Iterator[Sample]:
        """Samples of one shard, in the order given, with one read each. Raises TarnError."""
        if not places:
            return
        shard, indexed = places[0].shard, self.split(places[0].split).indexed
        windows = [window_of(place.offset, indexed) for place in places]
        ranges = ((start, place.offset + place.size) for (start, _), place in zip(windows, places, strict=True))
        found = self.windows.read(shard.name, ranges)
        for place, (start, end), raw in zip(places, windows, found, strict=True):
            yield Sample(place, name_in(raw[: end - start], self.url(shard)), raw[end - start :])

    def class_of(self, label: int) -> str:
        """Its folder name; the number where the manifest has none of it, and a word for no class at all."""
        if label == UNLABELLED:
            return "unlabelled"
        return self.manifest.classes[label].wnid if 0 <= label < len(self.manifest.classes) else str(label)

    def labels_of(self, wnids: Iterable[str]) -> set[int]:
        """Of folder names, or lines that begin with one. Raises UsageError for a class that is not there."""
        known = {info.wnid: number for number, info in enumerate(self.manifest.classes)}
        names = [text if text in known else text.split()[0] for text in wnids]
        missing = [name for name in names if name not in known]
        if missing:
            raise UsageError(
                f"{self.root} has no class {', '.join(missing[:10])}: its manifest.json lists those it has."
            )
        return {known[name] for name in names}
