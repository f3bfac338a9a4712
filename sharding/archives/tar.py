"""A walk over the headers of a tar that arrives as a stream: each regular file, with the exact place of its bytes.

Python's tarfile takes a broken header half-way for the end of the tar. Here every tar ends with its two zero blocks or
is damaged. (POSIX.1-1988 ustar, POSIX.1-2001 pax, and the long names of GNU tar.)
"""

import hashlib
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from tarn.sharding.archives.headers import DamageError, Header, decimal, parse, pax_records, shown, text
from tarn.sharding.format.archive import BLOCK, padded

ZEROS = bytes(BLOCK)
MOST_BYTES = 512 * 2**20  # of a member
MOST_TEXT = 2**20  # bytes of a long name or of a pax header
MOST_PADDING = 2**20  # bytes of zeros behind a tar's end; writers round up to 10 KiB, downloads in advance to the size
REGULAR, WITHOUT_DATA = (b"0", b"\0", b"7"), (b"1", b"2", b"3", b"4", b"5", b"6")
SPECIAL = (b"1", b"2", b"3", b"4", b"6")  # links, devices, pipes


@dataclass(frozen=True, slots=True)
class Member:
    """A regular file of a tar. offset: of its first byte in the tar; crc32: of its bytes; data: they, where wanted."""

    name: str
    offset: int
    size: int
    crc32: int
    data: bytes | None


class Stream:
    """Bytes in pieces of any size, hashed as they come. position: bytes that were taken or skipped."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self.pieces, self.rest, self.position = iter(pieces), memoryview(b""), 0
        self.digest = hashlib.sha256()

    def take(self, size: int) -> bytes:
        """Raises EOFError where fewer bytes are left."""
        if size <= len(self.rest):
            return bytes(self.advance(size))
        parts = []
        while size:
            self.fetch()
            parts.append(bytes(self.advance(min(size, len(self.rest)))))
            size -= len(parts[-1])
        return b"".join(parts)

    def skip(self, size: int) -> int:
        """The CRC-32 of what was skipped. Raises EOFError where fewer bytes are left."""
        crc32 = 0
        while size:
            self.fetch()
            passed = self.advance(min(size, len(self.rest)))
            crc32, size = zlib.crc32(passed, crc32), size - len(passed)
        return crc32

    def advance(self, size: int) -> memoryview:
        taken, self.rest = self.rest[:size], self.rest[size:]
        self.position += size
        return taken

    def fetch(self) -> None:
        """Makes sure that at least one byte is here."""
        while not len(self.rest):
            piece = next(self.pieces, None)
            if piece is None:
                raise EOFError
            self.digest.update(piece)
            self.rest = memoryview(piece)


def walk(
    stream: Stream,
    wanted: Callable[[str, int], bool],
    most: int = MOST_BYTES,
    special: Callable[[str], None] = lambda name: None,
) -> Iterator[Member]:
    """Regular files in order; links, folders and devices are passed over. wanted(name, size): hand over its bytes.

    most: bytes that a member may have. special: takes the name of a link, device or pipe.

    Raises DamageError for a tar that is cut, has a header without its checksum, holds anything behind its end, or holds
    what cannot be read in place.
    """
    try:
        yield from members(stream, wanted, most, special)
        finish(stream)
    except EOFError:
        raise DamageError(
            f"it ends at byte {stream.position}, before the two zero blocks that close a tar: cut short, copy it again"
        ) from None


def members(
    stream: Stream, wanted: Callable[[str, int], bool], most: int, special: Callable[[str], None]
) -> Iterator[Member]:
    """Up to the first zero block."""
    everywhere: dict[str, str] = {}  # what global pax headers say of all members from here on
    extra: dict[str, str] = {}  # what pax and GNU headers say of the next member
    while (block := stream.take(BLOCK)) != ZEROS:
        header = parse(block, stream.position - BLOCK)
        if header.kind in (b"x", b"X", b"g", b"L", b"K"):
            told = side_header(stream, header)
            if header.kind == b"g":
                everywhere |= told
            else:
                extra |= told
            continue
        told, extra = everywhere | extra, {}
        name, size = told.get("path", header.name), decimal(told["size"]) if "size" in told else header.size
        if header.kind == b"S" or any(key.startswith("GNU.sparse.") for key in told):
            raise DamageError(f"{shown(name)} is a sparse member, which does not hold its bytes as they are")
        if header.kind in WITHOUT_DATA or (header.kind == b"\0" and header.name.endswith("/")):
            if header.kind in SPECIAL:
                special(name)
            continue
        if size > most:
            raise DamageError(f"{shown(name)} has {size} bytes, at most {most} are read")
        offset, data = stream.position, None
        if header.kind in REGULAR and wanted(name, size):
            data = stream.take(size)
        crc32 = stream.skip(size) if data is None else zlib.crc32(data)
        stream.skip(padded(size) - size)
        if header.kind in REGULAR:
            yield Member(name, offset, size, crc32, data)
    if extra:
        raise DamageError(f"the member of the name at byte {stream.position - BLOCK} is missing")


def finish(stream: Stream) -> None:
    """One zero block was read: another must follow, and then nothing but a little padding."""
    end = stream.position
    if stream.take(BLOCK) != ZEROS:
        raise DamageError(f"data follow a zero block at byte {end}")
    try:
        while True:
            stream.fetch()
            if bytes(stream.advance(len(stream.rest))).strip(b"\0"):
                raise DamageError(f"data follow its end at byte {end} (tars joined into one file?)")
            if stream.position - end > MOST_PADDING:
                raise DamageError(f"nothing but zeros follow byte {end}: its download was not finished")
    except EOFError:
        return


def side_header(stream: Stream, header: Header) -> dict[str, str]:
    """What a pax header or a GNU long name says of the member that follows: path, size and more."""
    if header.size > MOST_TEXT:
        raise DamageError(
            f"the long header at byte {stream.position} has {header.size} bytes, at most {MOST_TEXT} are read"
        )
    at, payload = stream.position, stream.take(padded(header.size))[: header.size]
    if header.kind == b"K":
        return {}
    return {"path": text(payload)} if header.kind == b"L" else pax_records(payload, at)
