"""A picture in a tar whose index tells its checksum."""

import zlib
from dataclasses import dataclass

from tarn.sharding.archives.archive import Archive, DamagedMemberError
from tarn.sharding.archives.within import Within


@dataclass(frozen=True, slots=True)
class SummedMember(Within):
    """A place, see sources/place.py. path: the member's name in the tar."""

    archive: Archive
    path: str
    offset: int
    size: int
    crc32: int

    def read(self) -> bytes:
        """Raises DamagedMemberError; TarnError where the tar cannot be read."""
        data = self.archive.read(self.offset, self.size)
        if zlib.crc32(data) != self.crc32:
            raise DamagedMemberError(str(self), "its bytes do not have the CRC-32 of its index")
        return data
