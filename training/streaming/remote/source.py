"""Samples of shards in an object store: from the cache where the shard lies there, else by range requests.

Every picture is held against the index's CRC-32 whenever it is read, from the cache too, and every index against the
manifest's SHA-256. Where the cache is found damaged the sample comes by range at once, the file is removed, and the
fetcher brings it again.
"""

import hashlib
import time
import zlib
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from tarn.sharding import storage
from tarn.sharding.errors import TarnError
from tarn.sharding.format.manifest import ShardInfo
from tarn.sharding.storage.clients import build_client
from tarn.sharding.storage.persistence import Reader
from tarn.training.streaming.access import Access
from tarn.training.streaming.remote.cache import ShardCache
from tarn.training.streaming.remote.cached import CachedShards, Record
from tarn.training.streaming.remote.traffic import COMING, Traffic
from tarn.training.streaming.sources import LocalSource, Opening, Place, Sample, Source, checked_index

POLL = 0.005  # s
LONGEST_WAIT = 60.0  # s for a shard that is on its way; then its samples are read by range
WRONG_BYTES_ATTEMPTS = 3

NOTHING: Mapping[int, bytes] = {}

Range = tuple[str, int, int]  # name, start, end


def source_of(
    root: str,
    tars: str,
    shards: tuple[ShardInfo, ...],
    access: Access,
    traffic: Traffic | None = None,
    number: int = 1,
    reader: Reader | None = None,
    whole: bool = False,
) -> Source:
    """Of shards wherever they lie. reader: one of the tars' root that has its connections open, if there is one.
    whole: samples with all of their members."""
    source: Source
    if storage.local_path(tars) is not None:
        source = LocalSource(root, tars, shards, access.options)
    else:
        source = RemoteSource(root, tars, shards, access, traffic, number, reader)
    source.whole = whole
    return source


class RemoteSource(Source):
    """number: of this process in the traffic."""

    def __init__(
        self,
        root: str,
        tars: str,
        shards: tuple[ShardInfo, ...],
        access: Access,
        traffic: Traffic | None,
        number: int,
        reader: Reader | None = None,
    ) -> None:
        super().__init__(root, tars, shards)
        self.access, self.traffic, self.number = access, traffic, number
        self.reader = reader if reader is not None and reader.root == tars else self.reader_of(tars)
        self.reader.patience, self.reader.counters = access.patience, self.counters
        self.index_reader = self.reader if root == tars else self.reader_of(root)
        self.cache = ShardCache(access.cache, access.cache_limit) if access.cache is not None else None
        self.files = CachedShards(self.cache, self.counters) if self.cache is not None else None
        self.given: dict[Place, bytes] = {}

    def reader_of(self, root: str) -> Reader:
        access = self.access
        client = build_client(root, access.options, access.client, access.patience.silence)
        return Reader(root, client, access.patience, counters=self.counters)

    def read_ahead(self, places: Sequence[Place]) -> Opening:
        """What is needed for these and is not in the cache, all at once."""
        self.load_indexes({shard for shard, _ in places})
        here = {shard for shard, _ in places if self.is_cached(self.shards[shard])}
        missing = [(shard, place) for shard, place in dict.fromkeys(places) if shard not in here]
        records = [self.record(*place) for place in missing]
        raws = self.read_by_range([shard for shard, _ in missing], records, range(len(missing)))
        return Opening(tuple(places), dict(self.indexes), dict(zip(missing, raws, strict=True)))

    def take_in(self, opening: Opening) -> None:
        self.indexes.update(opening.indexes)
        self.given.update(opening.pieces)

    def read(self, places: Sequence[Place]) -> list[Sample]:
        """What the cache holds, comes from it; the rest at once by ranges, or when its shard arrives."""
        self.load_indexes({shard for shard, _ in places})
        records = [self.record(*place) for place in places]
        shards = [shard for shard, _ in places]
        found = [
            self.given.pop(place, None) or self.cached(place[0], record)
            for place, record in zip(places, records, strict=True)
        ]
        deadline = time.monotonic() + LONGEST_WAIT
        while missing := [row for row, raw in enumerate(found) if raw is None]:
            if time.monotonic() > deadline or not self.should_wait({shards[row] for row in missing}):
                for row, raw in zip(missing, self.read_by_range(shards, records, missing), strict=True):
                    found[row] = raw
                break
            time.sleep(POLL)
            for row in missing:
                found[row] = self.cached(shards[row], records[row])
        return [
            Sample(raw or b"", label, offset - start, offset - start + size, start)
            for raw, (offset, size, label, _, start, _) in zip(found, records, strict=True)
        ]

    def record(self, shard: int, place: int) -> Record:
        offset, size, label, crc = self.indexes[shard][place].item()
        return offset, size, label, crc, *self.extent(shard, place)

    def should_wait(self, shards: set[int]) -> bool:
        """Whether all of the shards are coming whole, and enough was read by range already."""
        digests = {self.shards[shard].sha256 for shard in shards}
        if self.traffic is None or self.files is None or digests & self.files.unusable:
            return False
        if not all(self.traffic.state[shard] == COMING for shard in shards):
            return False
        return not self.traffic.may_read_by_range()

    def read_by_range(self, shards: Sequence[int], records: Sequence[Record], rows: Sequence[int]) -> list[bytes]:
        """Raw bytes of the samples in these rows, their pictures checked against the index's CRC-32."""
        wanted = [records[row] for row in rows]
        ranges: list[Range] = [
            (self.shards[shards[row]].name, start, end) for row, (*_, start, end) in zip(rows, wanted, strict=True)
        ]

        def is_right(at: int, raw: bytes) -> bool:
            offset, size, _, crc, start, _ = wanted[at]
            return zlib.crc32(memoryview(raw)[offset - start : offset - start + size]) == crc

        parts = self.checked(self.reader, ranges, is_right, "CRC-32 of the index")
        self.counters["range_samples"] += len(rows)
        if self.traffic is not None:
            self.traffic.moved[self.number] += sum(map(len, parts))
        return parts

    def checked(
        self, reader: Reader, ranges: Sequence[Range], is_right: Callable[[int, bytes], bool], what: str
    ) -> list[bytes]:
        """All ranges at once; wrong ones again, a few times. Raises TarnError where the store itself is wrong."""
        parts = reader.read_many(ranges)
        for attempt in range(1, WRONG_BYTES_ATTEMPTS + 1):
            wrong = [at for at, raw in enumerate(parts) if not is_right(at, raw)]
            if not wrong:
                break
            self.counters["wrong_bytes"] += len(wrong)
            if attempt == WRONG_BYTES_ATTEMPTS:
                name, start, end = ranges[wrong[0]]
                raise TarnError(
                    f"{storage.join(reader.root, name)}: bytes {start} to {end} do not have the {what}, after "
                    f"{attempt} attempts: copy or pack the dataset again."
                )
            for at, raw in zip(wrong, reader.read_many([ranges[at] for at in wrong]), strict=True):
                parts[at] = raw
        return parts

    def is_cached(self, info: ShardInfo) -> bool:
        return self.cache is not None and self.cache.holds(info.sha256, info.bytes)

    def cached(self, shard: int, record: Record) -> bytes | None:
        return self.files.piece(self.shards[shard].sha256, record) if self.files is not None else None

    def load_indexes(self, shards: set[int], known: Mapping[int, bytes] = NOTHING) -> None:
        """All that are not here yet, at once: from the cache, else from where they lie, and into the cache.

        known: index files that were read and checked already, by shard.
        """
        missing = []
        for shard in sorted(shards - self.indexes.keys()):
            raw = self.cached_index(self.shards[shard])
            if raw is None:
                missing.append(shard)
            else:
                self.indexes[shard] = self.parsed(shard, raw)
        asked = [shard for shard in missing if shard not in known]
        infos = [self.shards[shard] for shard in asked]
        raws = self.checked(
            self.index_reader,
            [(info.index_name, 0, info.index_size) for info in infos],
            lambda at, raw: hashlib.sha256(raw).hexdigest() == infos[at].index_sha256,
            "SHA-256 of the manifest",
        )
        read = dict(zip(asked, raws, strict=True))
        for shard in missing:
            raw = read.get(shard) or known[shard]
            self.indexes[shard] = self.parsed(shard, raw)
            if self.cache is not None:
                self.cache.keep(self.shards[shard].index_sha256, raw)

    def parsed(self, shard: int, raw: bytes) -> NDArray[np.void]:
        info = self.shards[shard]
        return checked_index(raw, storage.join(self.root, info.index_name), info)

    def cached_index(self, info: ShardInfo) -> bytes | None:
        return self.cache.read_whole(info.index_sha256, info.index_size) if self.cache is not None else None
