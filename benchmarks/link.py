"""A TCP relay that is as slow as a long link: every byte later by half a round trip, all of them at a common rate.

A new connection carries its first byte one round trip later, for that is what opening it takes (RFC 9293, 3.5).
"""

import asyncio
import contextlib
import multiprocessing
import time
from collections.abc import Iterator
from urllib.parse import urlparse

WINDOW = 16  # pieces of 64 KiB under way on a connection, at most: what is not read yet is the server's to keep


class Link:
    """round_trip: seconds; rate: bytes/s over all connections and both ways, 0 for no limit."""

    def __init__(self, host: str, port: int, round_trip: float, rate: float) -> None:
        self.host, self.port, self.delay, self.rate = host, port, round_trip / 2, rate
        self.free_at = 0.0

    async def serve(self, started: "multiprocessing.SimpleQueue[int]") -> None:
        server = await asyncio.start_server(self.relay, "127.0.0.1", 0)
        started.put(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    async def relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(self.host, self.port)
        await asyncio.sleep(2 * self.delay)
        await asyncio.gather(self.carry(reader, back), self.carry(there, writer), return_exceptions=True)

    async def carry(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        """Reading goes on while earlier bytes are under way: a link delays, it does not stop."""
        under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(maxsize=WINDOW)
        deliver = asyncio.create_task(self.deliver(under_way, target))
        with contextlib.suppress(ConnectionError):
            while data := await source.read(2**16):
                now = time.monotonic()
                self.free_at = max(self.free_at, now) + (len(data) / self.rate if self.rate else 0)
                await under_way.put((max(now, self.free_at) + self.delay, data))
        await under_way.put((0.0, b""))
        await deliver

    async def deliver(self, under_way: "asyncio.Queue[tuple[float, bytes]]", target: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while True:
                due, data = await under_way.get()
                if not data:
                    break
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                target.write(data)
                await target.drain()
        target.close()


def run(link: Link, started: "multiprocessing.SimpleQueue[int]") -> None:
    asyncio.run(link.serve(started))


@contextlib.contextmanager
def link_to(endpoint: str, round_trip: float, rate: float) -> Iterator[str]:
    """The URL of a link to an endpoint, in a process of its own."""
    told = urlparse(endpoint)
    context = multiprocessing.get_context("spawn")
    started = context.SimpleQueue()
    link = Link(told.hostname or "127.0.0.1", told.port or 80, round_trip, rate)
    process = context.Process(target=run, args=(link, started), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{started.get()}"
    finally:
        process.kill()
        process.join()
