"""One file of a zip, read and checked."""

import struct
import zlib
from dataclasses import dataclass

from tarn.sharding.archives.archive import Archive, DamagedMemberError
from tarn.sharding.archives.directory import LOCAL_HEADER, STORED
from tarn.sharding.archives.within import Within
from tarn.sharding.pillow import MOST_BYTES

SIGNATURE = b"PK\3\4"
EXTRA = 64  # bytes of a local header's extra field that are read at first: times, owners, zip64


@dataclass(frozen=True, slots=True)
class ZipMember(Within):
    """A place, see sources/place.py. offset: of the local header; packed, size: bytes there, and of the file."""

    archive: Archive
    path: str
    offset: int
    packed: int
    size: int
    crc32: int
    method: int

    def read(self) -> bytes:
        """Of a stored one too the CRC-32 is compared: it costs a tenth of a millisecond, and tells a damaged zip from
        a damaged picture. Raises DamagedMemberError; TarnError where the archive cannot be read."""
        if max(self.size, self.packed) > MOST_BYTES:
            raise self.damaged(f"it claims {self.size:,} bytes, at most {MOST_BYTES:,} are read")
        room = LOCAL_HEADER + len(self.path.encode("utf-8", "surrogateescape")) + EXTRA + self.packed
        data = self.archive.read(self.offset, min(room, self.archive.size - self.offset))
        if data[:4] != SIGNATURE:
            raise self.damaged("its local header is missing")
        name, extra = struct.unpack_from("<2H", data, 26)
        start = LOCAL_HEADER + name + extra
        if (missing := start + self.packed - len(data)) > 0:
            data += self.archive.read(self.offset + len(data), missing)
        body = data[start : start + self.packed]
        if self.method != STORED:
            body = self.inflated(body)
        if len(body) != self.size or zlib.crc32(body) != self.crc32:
            raise self.damaged("its bytes do not have the CRC-32 that the zip tells")
        return body

    def inflated(self, body: bytes) -> bytes:
        """Never more than its size tells, whatever the stream would make."""
        stream = zlib.decompressobj(-zlib.MAX_WBITS)
        try:
            found = stream.decompress(body, self.size + 1)
        except zlib.error as error:
            raise self.damaged(f"it cannot be inflated ({error})") from error
        if len(found) != self.size or not stream.eof:
            raise self.damaged(f"it does not inflate to the {self.size:,} bytes that the zip tells")
        return found

    def damaged(self, why: str) -> DamagedMemberError:
        return DamagedMemberError(str(self), why)
