"""An archive as the file that libraries want: read and sought in, patiently where it lies in a store."""

import io
from typing import Any

from tarn.sharding.archives.archive import Archive


class ArchiveFile(io.RawIOBase):
    """Raises TarnError, as the archive does. Each has a place of its own; the archive's connection is shared."""

    def __init__(self, archive: Archive) -> None:
        super().__init__()
        self.archive, self.at = archive, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self.at = max(0, offset + {io.SEEK_SET: 0, io.SEEK_CUR: self.at, io.SEEK_END: self.archive.size}[whence])
        return self.at

    def readinto(self, buffer: Any) -> int:
        room = memoryview(buffer).cast("B")
        size = max(0, min(len(room), self.archive.size - self.at))
        if size:
            room[:size] = self.archive.read(self.at, size)
            self.at += size
        return size
