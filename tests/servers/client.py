"""Plain HTTP, so that tests see what arrives and not what a patient client makes of it."""

import contextlib
import http.client
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit


@contextlib.contextmanager
def connected(endpoint: str, timeout: float = 20) -> Iterator[http.client.HTTPConnection]:
    with contextlib.closing(http.client.HTTPConnection(urlsplit(endpoint).netloc, timeout=timeout)) as connection:
        yield connection


def fetch(endpoint: str, path: str = "/", method: str = "GET", **options: Any) -> tuple[int, bytes]:
    with connected(endpoint) as connection:
        connection.request(method, path, **options)
        with connection.getresponse() as reply:
            return reply.status, reply.read()


def partial(endpoint: str, path: str = "/", timeout: float = 20) -> tuple[bytes, str]:
    """What arrives of a reply that breaks off, and how it does so."""
    with connected(endpoint, timeout) as connection:
        connection.request("GET", path)
        with connection.getresponse() as reply:
            received = b""
            try:
                while piece := reply.read1(1000):
                    received += piece
            except OSError as error:
                return received, type(error).__name__
            return received, "end"
