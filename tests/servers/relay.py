"""The process behind `servers.proxy.Proxy`: python -m servers.relay OWNER UPSTREAM, commands as JSON lines on stdin."""

import asyncio
import json
import os
import sys
from dataclasses import asdict
from typing import Any
from urllib.parse import urlsplit

from servers.exchange import Conditions, Exchange
from servers.http1 import LIMIT
from servers.proxy import Fault
from servers.wire import Pace


class Relay:
    def __init__(self, host: str, port: int) -> None:
        self.conditions = Conditions(host, port)
        self.connections: set[asyncio.Task[Any]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self.connections.add(task)
        writer.transport.set_write_buffer_limits(0)  # a drained writer has handed everything to the kernel
        try:
            while await Exchange(self.conditions, reader, writer).run():
                pass
        except (asyncio.IncompleteReadError, asyncio.CancelledError, OSError):
            writer.transport.abort()
        finally:
            self.connections.discard(task)
            writer.close()

    def command(self, name: str, values: dict[str, Any]) -> Any:
        match name:
            case "fault":
                self.conditions.faults.append(Fault(**values))
            case "pace":
                self.conditions.delay, self.conditions.pace.rate = values["delay"], values["rate"]
            case "requests":
                return [asdict(request) for request in self.conditions.log]
            case "reset":
                self.conditions.faults.clear()
                self.conditions.log.clear()
                self.conditions.delay, self.conditions.pace = 0.0, Pace()
                for connection in self.connections:
                    connection.cancel()
        return None


async def main(owner: int, upstream: str) -> None:
    """Until the commands end, or the owner: forked children of it may hold the pipe of the commands open."""
    loop = asyncio.get_running_loop()
    url = urlsplit(upstream)
    assert url.hostname
    assert url.port
    relay = Relay(url.hostname, url.port)
    server = await asyncio.start_server(relay.serve, "127.0.0.1", 0, limit=LIMIT)
    print(server.sockets[0].getsockname()[1], flush=True)

    commands = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    owner_ended = os.pidfd_open(owner)
    loop.add_reader(owner_ended, commands.feed_eof)
    while line := await commands.readline():
        print(json.dumps(relay.command(*json.loads(line))), flush=True)
    loop.remove_reader(owner_ended)
    server.close()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), sys.argv[2]))
