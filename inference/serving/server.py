"""The process that serves: its socket, its signals, its end."""

import asyncio
import contextlib
import signal
import socket
import sys
from collections.abc import Callable
from typing import Any

import uvicorn
import uvloop
from starlette.exceptions import HTTPException

from tarn.inference.serving.app import app_of
from tarn.inference.serving.patient import Patient
from tarn.inference.serving.service import Service
from tarn.inference.serving.signals import Noted
from tarn.sharding.errors import UsageError

DRAIN = 30  # s for requests under way, once it is told to end
CONNECTIONS = 2000


def serve(service: Service, tell: Callable[[str], Any], early: Noted) -> None:
    """Until SIGINT or SIGTERM; requests under way are answered then. SIGHUP: the model file is read again, as it is
    where one has come early.

    Raises UsageError where the address cannot be had.
    """
    config = service.config
    with contextlib.closing(bound(config.host, config.port)) as at:
        host, port = at.getsockname()[:2]
        server = Server(settings_of(service), service, early)
        # Until uvicorn's own takes over, which raises it again at its end.
        before = signal.signal(signal.SIGTERM, lambda *_: setattr(server, "should_exit", True))
        tell(f"http://{f'[{host}]' if ':' in host else host}:{port}")
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(server.serve(sockets=[at]))
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
    def __init__(self, config: uvicorn.Config, service: Service, early: Noted) -> None:
        super().__init__(config)
        self.service, self.early = service, early
        self.is_told = self.is_reading = False

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self.on_hangup)
            if self.early.came:
                self.on_hangup()

    def on_hangup(self) -> None:
        """Those that come while the model is read are one."""
        self.is_told = True
        if not self.is_reading:
            self.is_reading, self.reading = True, asyncio.ensure_future(self.read_again())

    async def read_again(self) -> None:
        try:
            while self.is_told:
                self.is_told = False
                try:
                    await self.service.reload()
                except HTTPException as error:
                    print(f"error: {error.detail}", file=sys.stderr, flush=True)
        finally:
            self.is_reading = False

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self.service.ending = True
        await super().shutdown(sockets)
