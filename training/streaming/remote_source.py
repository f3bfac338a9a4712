"""Samples of shards in an object store: from the cache where the shard lies there, else by range requests."""

import hashlib
import os
import time
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sharding import storage
from sharding.errors import TarnError
from sharding.manifest import RECORD, ShardInfo
from sharding.remote.clients import build_client
from sharding.remote.persistence import Reader
from training.streaming.access import Access
from training.streaming.cache import ShardCache
from training.streaming.sources import HEADER, OpenFiles, Place, Sample, checked_index
from training.streaming.traffic import COMING, Traffic

POLL = 0.005  # s
LONGEST_WAIT = 60.0  # s for a shard that is on its way; then its samples are read by range


class RemoteSource:
    """number: of this process in the traffic."""

    def __init__(
        self, root: str, shards: tuple[ShardInfo, ...], access: Access, traffic: Traffic | None, number: int
    ) -> None:
        self.root, self.shards, self.access, self.traffic, self.number = root, shards, access, traffic, number
        self.counters: Counter[str] = Counter()
        client = build_client(root, access.options, access.client, access.patience.silence)
        self.reader = Reader(root, client, access.patience, counters=self.counters)
        self.cache = ShardCache(access.cache, access.cache_limit) if access.cache is not None else None
        self.files = OpenFiles()
        self.indexes: dict[int, NDArray[np.void]] = {}

    def samples(self, shard: int) -> int:
        return self.shards[shard].samples

    def name(self, shard: int) -> str:
        return self.shards[shard].name

    def read(self, places: Sequence[Place]) -> list[Sample]:
        """What the cache holds, comes from it; the rest at once by ranges, or when its shard arrives."""
        self.load_indexes({shard for shard, _ in places})
        records = [self.indexes[shard][place].item() for shard, place in places]
        found = [self.cached(shard, record) for (shard, _), record in zip(places, records, strict=True)]
        deadline = time.monotonic() + LONGEST_WAIT
        while missing := [row for row, raw in enumerate(found) if raw is None]:
            if time.monotonic() > deadline or not self.should_wait({places[row][0] for row in missing}):
                self.read_by_range(places, records, found, missing)
                break
            time.sleep(POLL)
            for row in missing:
                found[row] = self.cached(places[row][0], records[row])
        return [Sample(raw or b"", label) for raw, (_, _, label) in zip(found, records, strict=True)]

    def should_wait(self, shards: set[int]) -> bool:
        """Whether all of the shards are coming whole, and enough was read by range already."""
        if self.traffic is None or not all(self.traffic.state[shard] == COMING for shard in shards):
            return False
        return not self.traffic.may_read_by_range()

    def read_by_range(
        self,
        places: Sequence[Place],
        records: Sequence[tuple[int, int, int]],
        found: list[bytes | None],
        missing: list[int],
    ) -> None:
        ranges = []
        for row in missing:
            offset, size, _ = records[row]
            ranges.append((self.shards[places[row][0]].name, offset - HEADER, offset + size))
        parts = self.reader.read_many(ranges)
        for row, part in zip(missing, parts, strict=True):
            found[row] = part
        self.counters["range_samples"] += len(missing)
        if self.traffic is not None:
            self.traffic.moved[self.number] += sum(map(len, parts))

    def cached(self, shard: int, record: tuple[int, int, int]) -> bytes | None:
        """From the cache's file, None where there is none. A file in the cache is whole and was checked."""
        if self.cache is None:
            return None
        offset, size, _ = record
        try:
            file = self.files.descriptor(self.cache.path(self.shards[shard].sha256))
            raw = os.pread(file, HEADER + size, offset - HEADER)
        except OSError:
            return None
        return raw if len(raw) == HEADER + size else None

    def load_indexes(self, shards: set[int]) -> None:
        """All that are not known yet, at once."""
        wanted = sorted(shard for shard in shards if shard not in self.indexes)
        cached = {shard: self.cached_index(self.shards[shard]) for shard in wanted}
        missing = [shard for shard in wanted if cached[shard] is None]
        ranges = [(self.shards[shard].index_name, 0, index_size(self.shards[shard])) for shard in missing]
        for shard, raw in zip(missing, self.reader.read_many(ranges), strict=True):
            info = self.shards[shard]
            if hashlib.sha256(raw).hexdigest() != info.index_sha256:
                url = storage.join(self.root, info.index_name)
                raise TarnError(f"{url} does not have the SHA-256 of the manifest: copy or pack the dataset again.")
            cached[shard] = raw
            if self.cache is not None:
                self.cache.keep(info.index_sha256, raw)
        for shard, known in cached.items():
            info = self.shards[shard]
            self.indexes[shard] = checked_index(known or b"", storage.join(self.root, info.index_name), info)

    def cached_index(self, info: ShardInfo) -> bytes | None:
        return self.cache.read_whole(info.index_sha256, index_size(info)) if self.cache is not None else None


def index_size(info: ShardInfo) -> int:
    return 16 + RECORD.itemsize * info.samples
