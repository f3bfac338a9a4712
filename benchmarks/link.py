"""A TCP relay that is as slow as a long link: every byte later by half a round trip, all of them at a common rate.

A new connection carries its first byte one round trip later, for that is what opening it takes (RFC 9293, 3.5).
"""

import asyncio
import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from urllib.parse import urlparse

WINDOW = 16  # pieces of 64 KiB under way on a connection, at most: what is not read yet is the server's to keep


class RelayError(Exception):
    """How a relay ended that was to carry something."""


class Link:
    """round_trip: seconds; rate: bytes/s over all connections and both ways, 0 for no limit."""

    def __init__(self, host: str, port: int, round_trip: float, rate: float) -> None:
        self.host, self.port, self.delay, self.rate = host, port, round_trip / 2, rate
        self.free_at = 0.0

    async def serve(self) -> None:
        """Says its port on standard output, and relays from then on."""
        server = await asyncio.start_server(self.relay, "127.0.0.1", 0)
        print(server.sockets[0].getsockname()[1], flush=True)
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


@contextlib.contextmanager
def link_to(endpoint: str, round_trip: float, rate: float) -> Iterator[str]:
    """The URL of a link to an endpoint, in a process of its own. Raises RelayError where that ends at its start."""
    told = urlparse(endpoint)
    words = [str(word) for word in (told.hostname or "127.0.0.1", told.port or 80, round_trip, rate)]
    # -P: the files beside this one do not stand for modules of the same name
    command = [sys.executable, "-P", __file__, *words]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            port = process.stdout.readline()  # its end, where the process dies: nobody else holds the other side
            if not port:
                raise RelayError(f"the relay to {endpoint} {ending(process.wait())} at its start; its words are above")
            yield f"http://127.0.0.1:{int(port)}"
        finally:
            process.kill()


def ending(code: int) -> str:
    return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"


def main() -> None:
    host, port, round_trip, rate = sys.argv[1:]
    asyncio.run(Link(host, int(port), float(round_trip), float(rate)).serve())


if __name__ == "__main__":
    main()
