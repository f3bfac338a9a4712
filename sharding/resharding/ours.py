"""A dataset with a manifest, packed or indexed here, as a source: places and labels by its indexes.

The indexes have the digests of the manifest, the tars its sizes, and each picture the CRC-32 of its index when it is
read. The SHA-256 of the tars are not taken, for that reads them twice: `verify` does.
"""

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tarn.sharding import storage
from tarn.sharding.archives.archive import Archive
from tarn.sharding.archives.headers import shown
from tarn.sharding.errors import TarnError
from tarn.sharding.foreign.layout import size_of
from tarn.sharding.format.manifest import Manifest, ShardInfo, parse_index
from tarn.sharding.looking.members import samples_of
from tarn.sharding.looking.windows import Windows
from tarn.sharding.progress import progress_bar
from tarn.sharding.resharding.keys import Found, pictures_of
from tarn.sharding.resharding.place import SummedMember
from tarn.sharding.resharding.words import KIND
from tarn.sharding.sources import Problems, Source
from tarn.sharding.sources.tree import PassedOver

AT_A_TIME = 32  # tars of a store that are looked at side by side: each look is a request


class NotToldError(Exception):
    """What of a shard is not as its manifest says: kind, of many together, and which."""

    def __init__(self, kind: str, which: str) -> None:
        super().__init__(kind, which)
        self.kind, self.which = kind, which


@dataclass(frozen=True, slots=True)
class Dataset:
    """root: of manifest and indexes. read: takes the names of splits."""

    root: str
    manifest: Manifest

    @property
    def what(self) -> str:
        count = sum(len(split.shards) for split in self.manifest.splits.values())
        indexed = any(split.indexed for split in self.manifest.splits.values())
        told = f"an indexed dataset of {count:,} tars" if indexed else f"a packed dataset of {count:,} shards"
        return f"{told}, read in place; pictures are compared with the CRC-32 of its indexes"

    def read(self, wanted: tuple[str, ...]) -> Source:
        """Raises TarnError that counts and names what is not as the manifest says."""
        problems, passed, splits = Problems(), PassedOver(), {}
        there = self.manifest.splits
        for name in wanted:
            of = "test" if name == "val" and "val" not in there else name
            if of in there:
                splits[name] = pictures_of(self.samples(there[of].shards, problems), problems)
        taken = {"train", "val"} if "val" in there else {"train", "test"}
        for name in there.keys() - taken:
            passed.add("splits that are neither train nor val", name)
        problems.advise("`python -m tarn.sharding verify` tells more, `repair` mends" if problems.found else None)
        problems.raise_if_any(self.root)
        return Source(KIND, self.manifest.classes, splits, passed, held=self.manifest)

    def samples(self, shards: tuple[ShardInfo, ...], problems: Problems) -> list[Found]:
        tars, found = self.manifest.shards_root(self.root), list[Found]()
        windows, bar = Windows(tars), progress_bar(len(shards), "reading headers", "tar")
        try:
            with ThreadPoolExecutor(1 if windows.reader is None else AT_A_TIME) as pool:
                for part in pool.map(lambda shard: self.look(windows, shard), shards):
                    if isinstance(part, NotToldError):
                        problems.add(part.kind, part.which)
                    else:
                        found += part
                    bar.update()
        finally:
            bar.close()
        return found

    def look(self, windows: Windows, shard: ShardInfo) -> list[Found] | NotToldError:
        try:
            return list(self.found(windows, shard))
        except NotToldError as error:
            return error

    def found(self, windows: Windows, shard: ShardInfo) -> Iterator[Found]:
        url = storage.join(windows.root, shard.name)
        try:
            size = size_of(url)
        except TarnError as error:
            raise NotToldError("shards that cannot be looked at", str(error)) from error
        if size != shard.bytes:
            raise NotToldError(
                "shards of another size than the manifest's", f"{shard.name}: {size:,} bytes, {shard.bytes:,} there"
            )
        records, archive = self.records(shard), Archive(url)
        places = dict(zip(records["offset"].tolist(), records.tolist(), strict=True))
        for key, parts in samples_of(windows, shard, records):
            for part in parts:
                if (place := places.pop(part.offset, None)) is not None:
                    offset, length, label, crc32 = place
                    yield Found(
                        key.removeprefix("./"),
                        shard.name,
                        SummedMember(archive, part.name, offset, length, crc32),
                        label,
                    )
        if places:
            raise NotToldError(
                "indexes that are not those of their tars", f"{shard.index_name}: {len(places):,} pictures"
            )

    def records(self, shard: ShardInfo) -> NDArray[np.void]:
        """Of dtype RECORD."""
        url = storage.join(self.root, shard.index_name)
        try:
            raw = storage.read_bytes(url)
        except TarnError as error:
            raise NotToldError("indexes that cannot be read", str(error)) from error
        if hashlib.sha256(raw).hexdigest() != shard.index_sha256:
            raise NotToldError("indexes without the SHA-256 of the manifest", shard.index_name)
        records = parse_index(raw, url)
        wrong = records["label"][(records["label"] < 0) | (records["label"] >= len(self.manifest.classes))]
        if len(wrong):
            raise NotToldError("labels outside of the manifest's classes", f"{shown(shard.name)}: {wrong[0]}")
        return records
