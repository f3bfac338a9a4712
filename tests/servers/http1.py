"""As much of HTTP/1.1 as a proxy needs: heads that are passed on as they came, and bodies in pieces."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

PIECE = 1 << 16
LIMIT = 1 << 20  # of a head


@dataclass
class Head:
    """The first line and the fields, in the order and the spelling in which they came."""

    line: str
    fields: list[tuple[str, str]] = field(default_factory=list)

    def get(self, name: str) -> str | None:
        return next((value for key, value in self.fields if key.lower() == name), None)

    def put(self, name: str, value: str) -> None:
        self.drop(name)
        self.fields.append((name.title(), value))

    def drop(self, name: str) -> None:
        self.fields = [(key, value) for key, value in self.fields if key.lower() != name]

    def encode(self) -> bytes:
        lines = [self.line, *(f"{key}: {value}" for key, value in self.fields), "", ""]
        return "\r\n".join(lines).encode("latin-1")

    @property
    def status(self) -> int:
        return int(self.line.split(" ")[1])

    @property
    def chunked(self) -> bool:
        return "chunked" in (self.get("transfer-encoding") or "").lower()

    @property
    def length(self) -> int | None:
        length = self.get("content-length")
        return None if length is None else int(length)

    @property
    def keeps_alive(self) -> bool:
        return "HTTP/1.1" in self.line and (self.get("connection") or "").lower() != "close"


async def read_head(reader: asyncio.StreamReader) -> Head | None:
    """None where the other side has closed instead."""
    try:
        raw = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise
        return None
    line, *fields = raw.decode("latin-1").rstrip("\r\n").split("\r\n")
    pairs = (field.split(":", 1) for field in fields)
    return Head(line, [(key, value.strip()) for key, value in pairs])


class Body:
    """What follows a head: so many bytes, chunks, or everything up to the end of the connection."""

    def __init__(self, reader: asyncio.StreamReader, head: Head, *, until_close: bool = False, none: bool = False):
        self.reader = reader
        self.chunked = head.chunked and not none
        self.length = 0 if none else head.length if not self.chunked else None
        if self.length is None and not self.chunked and not until_close:
            self.length = 0
        self.trailer = b""

    async def pieces(self) -> AsyncIterator[bytes]:
        """The content without its framing. Ends early, in an error, where the sender does."""
        if self.chunked:
            while size := int((await self.reader.readline()).split(b";")[0] or b"0", 16):
                async for piece in self._exactly(size):
                    yield piece
                await self.reader.readexactly(2)
            while (line := await self.reader.readline()) not in (b"\r\n", b""):
                self.trailer += line
        elif self.length is not None:
            async for piece in self._exactly(self.length):
                yield piece
        else:
            while piece := await self.reader.read(PIECE):
                yield piece

    async def _exactly(self, size: int) -> AsyncIterator[bytes]:
        while size:
            piece = await self.reader.read(min(size, PIECE))
            if not piece:
                raise asyncio.IncompleteReadError(b"", size)
            size -= len(piece)
            yield piece

    def frame(self, piece: bytes) -> bytes:
        return b"%x\r\n%b\r\n" % (len(piece), piece) if self.chunked else piece

    def ending(self) -> bytes:
        return b"0\r\n%b\r\n" % self.trailer if self.chunked else b""
