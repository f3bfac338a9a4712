"""What a reader takes from the cache, checked as it is taken: a disk loses and turns bytes behind everybody's back."""

import os
import zlib
from collections import Counter
from contextlib import suppress

from tarn.training.streaming.remote.cache import ShardCache
from tarn.training.streaming.sources import OpenFiles

Record = tuple[int, int, int, int, int, int]  # offset, size, label, crc32; first byte to be read, one behind the last


class CachedShards:
    """Files of a cache, as one process reads them. counters: gets wrong_cached, one for each file found damaged."""

    def __init__(self, cache: ShardCache, counters: Counter[str]) -> None:
        self.cache, self.counters = cache, counters
        self.files = OpenFiles()
        self.unusable: set[str] = set()  # digests of files that were damaged or not readable when last looked at

    def piece(self, digest: str, record: Record) -> bytes | None:
        """A picture's bytes and what is read around them; None where there is no file, or none that is right.

        A damaged one is removed, where that may be done, so that it is fetched again.
        """
        path, raw = self.cache.path(digest), b""
        offset, size, _, crc, start, end = record
        try:
            file = self.files.descriptor(path)
        except FileNotFoundError:
            return None
        except OSError:
            self.unusable.add(digest)
            return None
        with suppress(OSError):
            raw = os.pread(file, end - start, start)
        if len(raw) == end - start and zlib.crc32(memoryview(raw)[offset - start : offset - start + size]) == crc:
            self.unusable.discard(digest)
            return raw
        if digest not in self.unusable:
            self.counters["wrong_cached"] += 1
        self.unusable.add(digest)
        self.cache.remove_damaged(digest, file)
        self.files.forget(path)
        return None
