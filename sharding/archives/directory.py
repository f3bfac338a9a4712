"""What a zip holds, by its central directory alone: one read at its end, however large it is.

PKWARE's APPNOTE.TXT 6.3.10, sections 4.3 (records), 4.4 (fields) and 4.5.3 (zip64). Python's zipfile reads the same and
takes 643 bytes of memory a member, 1.3 GB for the Kaggle download; here members are handed over one by one. It also
looks for less: members that overlap (Fifield 2019, "A better zip bomb") are refused, as is whatever is cut short.
"""

import stat
import struct
from array import array
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from tarn.sharding.archives.archive import Archive
from tarn.sharding.errors import TarnError

END, END_64, LOCATOR, RECORD = b"PK\5\6", b"PK\6\6", b"PK\6\7", b"PK\1\2"
END_FIELDS = struct.Struct("<4s4H2LH")
END_64_FIELDS = struct.Struct("<4sQ2H2L4Q")
LOCATOR_FIELDS = struct.Struct("<4sLQL")
RECORD_FIELDS = struct.Struct("<4s6H3L5H2L")
LONGEST_COMMENT = 2**16
ZIP64 = 1  # the extra field that holds what four bytes cannot
FULL = 0xFFFFFFFF
LOCAL_HEADER = 30  # bytes, without name and extra field
ENCRYPTED, UTF8 = 1, 1 << 11  # flags
STORED, DEFLATED = 0, 8
METHODS = {1: "shrunk", 6: "imploded", 9: "Deflate64", 12: "bzip2", 14: "LZMA", 93: "Zstandard", 95: "XZ", 98: "PPMd"}
UNIX = 3


@dataclass(frozen=True, slots=True)
class Member:
    """offset: of its local header in the zip; packed, size: bytes as it lies there, and of the file itself."""

    name: str
    offset: int
    packed: int
    size: int
    crc32: int
    method: int
    flags: int
    mode: int

    @property
    def refused(self) -> str | None:
        """Why it cannot be read, None where it can."""
        if self.flags & ENCRYPTED:
            return "encrypted: unzip it, or zip it anew without a password"
        if self.method not in (STORED, DEFLATED):
            how = METHODS.get(self.method, f"method {self.method}")
            return f"compressed by {how}: zip it anew, stored or deflated"
        if self.method == STORED and self.packed != self.size:
            return "stored with two sizes: copy the zip again"
        return None

    @property
    def is_folder(self) -> bool:
        return self.name.endswith("/")

    @property
    def is_special(self) -> bool:
        """A link, device or pipe of a Unix system."""
        return stat.S_IFMT(self.mode) not in (0, stat.S_IFREG, stat.S_IFDIR)


@dataclass(frozen=True, slots=True)
class Directory:
    """Where the central directory lies. shift: bytes that stand before the zip itself. count: its members; of zips
    without zip64 only its last 16 bits are told."""

    offset: int
    size: int
    count: int
    shift: int
    is_64: bool


def members(archive: Archive) -> Iterator[Member]:
    """In the order of the central directory. Raises TarnError for what is no whole zip."""
    directory = find_directory(archive)
    found = 0
    spans = array("Q")
    for member in records(archive, directory):
        found += 1
        spans.extend((member.offset, member.offset + LOCAL_HEADER + member.packed))
        yield member
    if found != directory.count and (directory.is_64 or found % 2**16 != directory.count):
        raise broken(archive, f"it tells of {directory.count:,} members and lists {found:,}")
    refuse_overlap(archive, spans, directory.offset)


def find_directory(archive: Archive) -> Directory:
    size = archive.size
    tail_size = min(size, END_FIELDS.size + LONGEST_COMMENT)
    tail = archive.read(size - tail_size, tail_size)
    at = end_record(tail)
    if at < 0:
        raise broken(archive, "there is no directory at its end: cut short, or no zip")
    _, disk, first_disk, here, count, length, offset, _ = END_FIELDS.unpack_from(tail, at)
    end = size - tail_size + at
    is_64 = end >= LOCATOR_FIELDS.size and archive.read(end - LOCATOR_FIELDS.size, len(LOCATOR)) == LOCATOR
    if is_64:
        end, (disk, first_disk, here, count, length, offset) = end_64(archive, end - LOCATOR_FIELDS.size)
    if disk != first_disk or here != count:
        raise broken(archive, "it is one part of several: join them by `zip -s 0 in.zip --out whole.zip`")
    shift = end - length - offset
    if shift < 0:
        raise broken(archive, f"its directory should lie at byte {offset:,}, behind its end: bytes are missing before")
    return Directory(offset + shift, length, count, shift, is_64)


def end_record(tail: bytes) -> int:
    """Where it stands, -1 for nowhere: its comment must reach to the end."""
    at = tail.rfind(END)
    while at >= 0:
        if len(tail) - at >= END_FIELDS.size:
            comment = END_FIELDS.unpack_from(tail, at)[-1]
            if at + END_FIELDS.size + comment == len(tail):
                return at
        at = tail.rfind(END, 0, at + len(END) - 1)
    return -1


def end_64(archive: Archive, locator: int) -> tuple[int, tuple[int, ...]]:
    """Where zip64's end record stands, and its numbers. It lies right before its locator, whatever stands before the
    zip; a record with fields of somebody's own lies where the locator says."""
    told = LOCATOR_FIELDS.unpack(archive.read(locator, LOCATOR_FIELDS.size))[2]
    for at in (locator - END_64_FIELDS.size, told):
        if 0 <= at <= locator - END_64_FIELDS.size:
            fields = END_64_FIELDS.unpack(archive.read(at, END_64_FIELDS.size))
            if fields[0] == END_64:
                return at, fields[4:]
    raise broken(archive, "its zip64 end record is missing: cut short")


def records(archive: Archive, directory: Directory) -> Iterator[Member]:
    """Members by the directory's records, a few megabytes of it in memory at a time."""
    rest = b""
    for piece in archive.pieces(directory.offset, directory.size):
        rest, at = rest + piece, 0
        while len(rest) - at >= RECORD_FIELDS.size:
            fields = RECORD_FIELDS.unpack_from(rest, at)
            if fields[0] != RECORD:
                raise broken(archive, "its directory holds a record that is none")
            name_size, extra_size, comment_size = fields[10:13]
            name_at = at + RECORD_FIELDS.size
            end = name_at + name_size + extra_size + comment_size
            if end > len(rest):
                break
            name = rest[name_at : name_at + name_size]
            yield member(archive, directory, fields, name, rest[name_at + name_size : end - comment_size])
            at = end
        rest = rest[at:]
    if rest:
        raise broken(archive, "its directory ends within a record")


def member(archive: Archive, directory: Directory, fields: tuple[int, ...], raw: bytes, extra: bytes) -> Member:
    _, made_by, _, flags, method, _, _, crc32, packed, size, *_, attributes, offset = fields
    if FULL in (packed, size, offset):
        size, packed, offset = longer(extra, size, packed, offset)
    name = named(raw, flags)
    offset += directory.shift
    if offset + LOCAL_HEADER + packed > directory.offset:
        raise broken(archive, f"{name!a} should end at byte {offset + packed:,}, behind all members")
    mode = attributes >> 16 if made_by >> 8 == UNIX else 0
    return Member(name, offset, packed, size, crc32, method, flags, mode)


def longer(extra: bytes, *numbers: int) -> Iterator[int]:
    """The numbers, those that are full replaced by the next of zip64's extra field."""
    at, found = 0, b""
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, at)
        if kind == ZIP64:
            found = extra[at + 4 : at + 4 + length]
        at += 4 + length
    for number in numbers:
        if number == FULL and len(found) >= 8:
            (number,), found = struct.unpack_from("<Q", found), found[8:]
        yield number


def named(raw: bytes, flags: int) -> str:
    """UTF-8, also where it is not told, for most packers of Unix systems write it so; else code page 437."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("utf-8", "surrogateescape") if flags & UTF8 else raw.decode("cp437")


def refuse_overlap(archive: Archive, spans: "array[int]", end: int) -> None:
    """spans: first and last byte of every member."""
    if not spans:
        return
    table = np.frombuffer(spans, np.uint64).reshape(-1, 2)
    table = table[np.argsort(table[:, 0], kind="stable")]
    wrong = np.flatnonzero(table[:-1, 1] > table[1:, 0])
    if len(wrong):
        raise broken(archive, f"members overlap at byte {int(table[wrong[0] + 1, 0]):,}, as in a zip bomb")


def broken(archive: Archive, why: str) -> TarnError:
    return TarnError(f"{archive} cannot be read as a zip: {why}.")
