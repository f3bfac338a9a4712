"""A tar as a stream: unpacked where it is compressed, and walked before the webdataset library sees it."""

import io
import itertools
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import fsspec.compression

from tarn.sharding import storage
from tarn.sharding.archives.headers import COMPRESSED, DamageError, parse
from tarn.sharding.archives.tar import Stream, walk
from tarn.sharding.errors import TarnError
from tarn.sharding.foreign.reading import parted
from tarn.sharding.format.archive import BLOCK
from tarn.training.streaming.sequential.bytes import PIECE, StreamError

META = re.compile(r"__[^/]*__($|/)")  # names that the library passes over
METHODS = {"gzip": "gzip", "zstd": "zstd", "bzip2": "bz2", "xz": "xz"}  # in fsspec's words


def is_wanted(name: str, endings: Collection[str]) -> bool:
    """Whether a member is a picture or tells a label; what ends otherwise is left unread."""
    return parted(name)[1] in endings and META.match(name) is None


class CheckedStream:
    """A tar as the library reads it: no byte of a member goes there before our own walk has passed the member.

    For the library takes a broken header for the end of a tar, and does not miss the end where there is none.
    """

    def __init__(self, url: str, pieces: Iterator[bytes], endings: Collection[str]) -> None:
        self.url, self.endings, self.members, self.given = url, endings, 0, 0
        self.rest = bytearray()  # what has come and was not given yet; walked as far as the stream's position
        self.stream = Stream(self.recorded(pieces))
        self.walk = walk(self.stream, lambda name, size: False)

    def recorded(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            self.rest += piece
            yield piece

    def read(self, size: int) -> bytes:
        """Fewer bytes at the end. Raises StreamError, naming the URL, where the tar is cut or damaged."""
        while self.stream.position - self.given < size and self.step():
            pass
        taken = bytes(self.rest[: min(size, self.stream.position - self.given)])
        del self.rest[: len(taken)]
        self.given += len(taken)
        return taken

    def step(self) -> bool:
        """Walks on by one member; False at the end."""
        try:
            member = next(self.walk, None)
        except DamageError as error:
            raise StreamError(f"{self.url}: {error}.") from error
        if member is not None:
            self.members += is_wanted(member.name, self.endings)
        return member is not None

    def finish(self, taken: int) -> None:
        """For when the library is at its end; taken: wanted members that it found."""
        while self.step():
            pass
        if taken != self.members:
            raise StreamError(f"{self.url}: {taken} of {self.members} members could be read: pack it again.")


def unpacked(url: str, pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The bytes of the tar itself. Its bytes tell how it is compressed, for names and servers may mislead.

    Raises StreamError, naming the URL, where the compressed bytes are cut or damaged.
    """
    head = b""
    while len(head) < BLOCK and (piece := next(pieces, None)) is not None:
        head += piece
    method = compression_of(head[:BLOCK])
    if method is None:
        yield head
        yield from pieces
        return
    kinds: Mapping[str, Any] = fsspec.compression.compr  # type: ignore[assignment]
    if METHODS[method] not in kinds:
        raise StreamError(f"{url} is compressed by {method}: install the package that unpacks it (zstandard).")
    try:
        raw: Any = io.BufferedReader(Pieces(itertools.chain([head], pieces)), PIECE)
        with kinds[METHODS[method]](raw, mode="rb") as file:
            while piece := file.read(PIECE):
                yield piece
    except TarnError:
        raise
    except Exception as error:  # each method raises its own kinds
        raise StreamError(f"{url} is cut or damaged ({method}: {storage.reason(error)}): copy it again.") from error


def compression_of(head: bytes) -> str | None:
    """None for a plain tar, which starts with a header whose name may begin like anything."""
    try:
        if len(head) == BLOCK:
            parse(head, BLOCK)
            return None
    except DamageError:
        pass
    return next((method for magic, method in COMPRESSED.items() if head.startswith(magic)), None)


class Pieces(io.RawIOBase):
    """A file to be read once."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self.pieces, self.rest = pieces, memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, target: Any) -> int:
        while not len(self.rest):
            piece = next(self.pieces, None)
            if piece is None:
                return 0
            self.rest = memoryview(piece)
        count = min(len(target), len(self.rest))
        target[:count], self.rest = self.rest[:count], self.rest[count:]
        return count
