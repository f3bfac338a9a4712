"""All members of a tar by what lies between its pictures: their bytes are not read.

Headers are POSIX ustar; the long names of pax and GNU tar are heeded.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from tarn.sharding.archives.headers import DamageError, parse, pax_records, text
from tarn.sharding.archives.tar import REGULAR, ZEROS
from tarn.sharding.errors import TarnError
from tarn.sharding.foreign.reading import parted
from tarn.sharding.format.archive import BLOCK, padded
from tarn.sharding.format.manifest import ShardInfo
from tarn.sharding.looking.windows import Range, Windows

LONG_HEADERS = (b"x", b"L")


@dataclass(frozen=True, slots=True)
class Part:
    """A regular file of a tar. header: where all that belongs to it begins; offset, size: of its bytes; data: those of
    them that were read, of a picture none."""

    name: str
    header: int
    offset: int
    size: int
    data: memoryview = field(default=memoryview(b""), repr=False, compare=False)

    @property
    def end(self) -> int:
        """Of its last block."""
        return self.offset + padded(self.size)


def samples_of(windows: Windows, shard: ShardInfo, records: NDArray[np.void]) -> Iterator[tuple[str, list[Part]]]:
    """Key and parts of each sample, as the webdataset library groups them: neighbours of one key; members that have
    none are passed over. Raises TarnError."""
    for key, parts in groupby(parts_of(windows, shard, records), key=lambda part: parted(part.name)[0]):
        if key:
            yield key, list(parts)


def parts_of(windows: Windows, shard: ShardInfo, records: NDArray[np.void]) -> Iterator[Part]:
    """In the order of the tar, which its index must have. Raises TarnError naming the tar."""
    ranges = gaps(shard, records)
    for (start, _), raw in zip(ranges, windows.read(shard.name, ranges), strict=True):
        try:
            yield from parts_in(raw, start)
        except DamageError as error:
            where = f"{windows.root.rstrip('/')}/{shard.name}"
            raise TarnError(f"{where} is not the tar of its index ({error}): verify it.") from error


def gaps(shard: ShardInfo, records: NDArray[np.void]) -> list[Range]:
    """Before each picture, and behind the last one."""
    offsets, sizes = records["offset"].tolist(), records["size"].tolist()
    ends = [offset + padded(size) for offset, size in zip(offsets, sizes, strict=True)]
    return list(zip([0, *ends], [*offsets, shard.bytes], strict=True))


def parts_in(raw: bytes, start: int) -> Iterator[Part]:
    """raw: whole blocks from byte `start` of the tar on, the last header's file being cut off. Raises DamageError."""
    at, first, name = 0, 0, None
    while at + BLOCK <= len(raw) and (block := raw[at : at + BLOCK]) != ZEROS:
        header = parse(block, start + at)
        data = at + BLOCK
        if header.kind in LONG_HEADERS:
            payload = raw[data : data + header.size]
            name = text(payload) if header.kind == b"L" else pax_records(payload, start + data).get("path", name)
        else:
            if header.kind in REGULAR:
                inside = memoryview(raw)[data : data + header.size]
                yield Part(name or header.name, start + first, start + data, header.size, inside)
            first, name = data + padded(header.size), None
        at = data + padded(header.size)
