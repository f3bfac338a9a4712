"""The headers of a tar that can be read at random: what its members hold is jumped over."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tarn.sharding.archives.archive import Archive
from tarn.sharding.archives.headers import DamageError
from tarn.sharding.archives.tar import Member, Stream, walk
from tarn.sharding.archives.within import Within
from tarn.sharding.errors import TarnError

WINDOW = 4096  # bytes that are read at a header: it, and those of a long name


class Jumps(Stream):
    """Bytes [start, end) of an archive, told from 0 on."""

    def __init__(self, archive: Archive, start: int, end: int) -> None:
        super().__init__(())
        self.archive, self.start, self.end = archive, start, end

    def fetch(self) -> None:
        if not len(self.rest):
            at = self.start + self.position
            if at >= self.end:
                raise EOFError
            self.rest = memoryview(self.archive.read(at, min(WINDOW, self.end - at)))

    def skip(self, size: int) -> int:
        """No checksum, for nothing is read: always 0."""
        passed = len(self.advance(min(size, len(self.rest))))
        self.position += size - passed
        if self.start + self.position > self.end:
            self.position = self.end - self.start
            raise EOFError
        return 0


@dataclass(frozen=True, slots=True)
class TarMember(Within):
    """A place, see sources/place.py. path: through the tars, one in the other; offset: in the outermost one."""

    archive: Archive
    path: str
    offset: int
    size: int

    def read(self) -> bytes:
        """Raises TarnError where the archive cannot be read. A tar has no checksum of what it holds."""
        return self.archive.read(self.offset, self.size)


def tar_members(
    archive: Archive, outer: TarMember | None, most: int, special: Callable[[str], None] = lambda name: None
) -> Iterator[TarMember]:
    """Regular files of a tar, or of one within it. most: bytes that a member may have; special: takes the name of a
    link, device or pipe. Raises TarnError for what is no whole tar."""
    start, end = (outer.offset, outer.offset + outer.size) if outer is not None else (0, archive.size)
    above = f"{outer.path}/" if outer is not None else ""
    try:
        for member in walk(Jumps(archive, start, end), nothing, most, special):
            yield TarMember(archive, f"{above}{member_name(member)}", start + member.offset, member.size)
    except DamageError as error:
        raise TarnError(f"{outer or archive} cannot be read as a tar: {error}.") from error


def nothing(name: str, size: int) -> bool:
    """Of the members whose bytes are wanted."""
    return False


def member_name(member: Member) -> str:
    return member.name.removeprefix("./")
