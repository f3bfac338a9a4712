"""Keys of a dataset's samples, as eight bytes each: what chooses or labels samples by key goes by these.

An index does not hold keys: they stand in the tars, in the header before each picture. So each shard's headers are
read once, a read of 512 bytes for every sample of a disk, a range request for every sample of a store (of tars that
somebody else packed 4 kB); what was found is kept beside the cached shards, by the shard's SHA-256, 8 bytes a sample.
Two keys of one dataset have the same eight bytes (BLAKE2b, RFC 7693) with a chance of 3 in 100,000,000 where it has a
million samples, 1 in 40 where it has a billion.
"""

import os
import zlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tarn.sharding.foreign.samples import digest
from tarn.sharding.format.manifest import ShardInfo
from tarn.sharding.looking.names import keys_of
from tarn.sharding.looking.windows import Windows
from tarn.sharding.storage.persistence import Reader

Digests = NDArray[np.uint64]
MAGIC = b"TARNKEY1"
HEAD = 12  # bytes before the digests: magic and their CRC-32
AT_ONCE = 1024  # ranges of a store that are asked for together


class Ranges(Windows):
    """Windows by a reader that has the store's options already."""

    def __init__(self, root: str, reader: Reader | None) -> None:
        self.root, self.reader = root, reader

    def read(self, name: str, ranges: Iterable[tuple[int, int]]) -> Iterator[bytes]:
        if self.reader is None:
            yield from super().read(name, ranges)
            return
        coming = iter(ranges)
        while some := list(islice(coming, AT_ONCE)):
            yield from self.reader.read_many([(name, start, end) for start, end in some])


class KeyBook:
    """Of one split. folder: where keys are kept, if anywhere. indexed: whether somebody else packed the tars. reader:
    of their root, where it is a store."""

    def __init__(self, folder: Path | None, tars: str, indexed: bool, reader: Reader | None) -> None:
        self.folder, self.indexed, self.windows = folder, indexed, Ranges(tars, reader)

    def digests(self, shard: ShardInfo, records: NDArray[np.void]) -> Digests:
        """Of a shard's samples, in its order. Raises TarnError for a shard that cannot be read."""
        path = self.folder / f"{shard.sha256}.keys" if self.folder is not None else None
        if path is not None and (kept := kept_in(path, len(records))) is not None:
            return kept
        keys = keys_of(self.windows, shard, records, self.indexed)
        found = np.fromiter((digest(key) for key in keys), np.uint64, len(records))
        if path is not None:
            keep(path, found)
        return found


def kept_in(path: Path, count: int) -> Digests | None:
    """None where there is nothing, or nothing that is whole."""
    try:
        raw = path.read_bytes()
    except OSError:
        return None
    body = raw[HEAD:]
    if raw[:8] != MAGIC or len(body) != 8 * count or zlib.crc32(body) != int.from_bytes(raw[8:HEAD], "little"):
        return None
    return np.frombuffer(body, "<u8").astype(np.uint64)


def keep(path: Path, digests: Digests) -> None:
    """Where it cannot be written, keys are read again the next time."""
    body = digests.astype("<u8").tobytes()
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(MAGIC + zlib.crc32(body).to_bytes(4, "little") + body)
        temporary.rename(path)
    except OSError:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
