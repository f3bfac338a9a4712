"""The process that serves: its socket, its signals, its end."""

import asyncio
import contextlib
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from typing import Any

import uvicorn
import uvloop
from starlette.exceptions import HTTPException

from tarn.inference.serving.app import app_of
from tarn.inference.serving.patient import Patient
from tarn.inference.serving.service import Service
from tarn.sharding.errors import UsageError

DRAIN = 30  # s for requests under way, once it is told to end
CONNECTIONS = 2000


def serve(service: Service, tell: Callable[[str], Any]) -> None:
    """Until SIGINT or SIGTERM; requests under way are answered then. SIGHUP: the model file is read again.

    Raises UsageError where the address cannot be had.
    """
    config = service.config
    with contextlib.closing(bound(config.host, config.port)) as at:
        host, port = at.getsockname()[:2]
        early: list[int] = []  # uvicorn's own handler takes over, and raises the signal again at its end
        before = signal.signal(signal.SIGTERM, lambda number, _: early.append(number))
        tell(f"http://{f'[{host}]' if ':' in host else host}:{port}")
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(Server(settings_of(service), service, early).serve(sockets=[at]))
        finally:
            signal.signal(signal.SIGTERM, before)


def bound(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        at = socket.socket(family, kind, protocol)
        at.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            at.bind(address)
            at.listen()  # who comes from now on waits, and is not turned away
        except OSError:
            at.close()
            raise
    except OSError as error:
        raise UsageError(f"--host={host} --port={port} cannot be had ({error.strerror}): choose another.") from error
    return at


def settings_of(service: Service) -> uvicorn.Config:
    class Protocol(Patient):
        patience = service.config.patience

    return uvicorn.Config(
        app_of(service),
        http=Protocol,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=CONNECTIONS,
        timeout_keep_alive=15,
        timeout_graceful_shutdown=DRAIN,
    )


class Server(uvicorn.Server):
    """early: signals that came before its own handlers stood."""

    def __init__(self, config: uvicorn.Config, service: Service, early: Sequence[int]) -> None:
        super().__init__(config)
        self.service, self.early = service, early

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self.on_hangup)
        if self.early:
            self.should_exit = True

    def on_hangup(self) -> None:
        self.reading = asyncio.ensure_future(self.read_again())

    async def read_again(self) -> None:
        try:
            await self.service.reload()
        except HTTPException as error:
            print(f"error: {error.detail}", file=sys.stderr, flush=True)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self.service.ending = True
        await super().shutdown(sockets)
