"""How bytes leave a connection: at a rate, and how they cease to."""

import asyncio
import fcntl
import socket
import struct
import termios
import time
from collections.abc import AsyncIterator

from servers.http1 import PIECE


class Pace:
    """A bandwidth: whoever sends waits until all bytes before, of all connections, have had their time."""

    def __init__(self, rate: float = 0) -> None:
        self.rate = rate
        self.free_at = 0.0

    async def parts(self, piece: bytes) -> AsyncIterator[bytes]:
        step = max(1, int(self.rate / 20)) if self.rate else PIECE  # twenty times a second
        for begin in range(0, len(piece), step):
            part = piece[begin : begin + step]
            if self.rate:
                self.free_at = max(self.free_at, time.monotonic()) + len(part) / self.rate
                await asyncio.sleep(self.free_at - time.monotonic())
            yield part


async def reset_connection(writer: asyncio.StreamWriter) -> None:
    """Close by RST once what was sent has arrived; it would be dropped otherwise."""
    connection: socket.socket = writer.get_extra_info("socket")
    for _ in range(100):
        (unsent,) = struct.unpack("i", fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, b"\0" * 4))
        if not unsent:
            break
        await asyncio.sleep(0.01)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
