"""The bytes of a file from its first to its last: opened by fsspec, read patiently."""

import time
from collections.abc import Iterator, Mapping
from typing import Any

from tarn.sharding import storage
from tarn.sharding.errors import TarnError
from tarn.sharding.foreign.names import is_web
from tarn.sharding.storage.answers import advice, cause, is_final
from tarn.sharding.storage.persistence import Patience

PIECE = 2**18  # bytes read at a time


class StreamError(TarnError):
    """Keeps its sentence where the webdataset library adds to an error's args on the way."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence

    def __str__(self) -> str:
        return self.sentence


def pieces_of(url: str, options: Mapping[str, Any], patience: Patience) -> Iterator[bytes]:
    """The file's bytes; a connection that breaks is made again, and goes on at the same byte.

    Raises StreamError naming URL, attempts and the last cause.
    """
    attempts, at, moved, version = 0, 0, time.monotonic(), ""
    while True:
        try:
            with opened(url, options, patience, at) as file:
                reach(file, at)
                version, before = version_of(file), version
                if at and version != before:
                    raise StreamError(f"{url} changed while it was read: start again.")
                while piece := file.read(PIECE):
                    at, attempts = at + len(piece), 0
                    yield piece
                    moved = time.monotonic()  # what its taker does with it is no silence
            if at >= (getattr(file, "size", None) or 0):
                return
            raise EOFError(f"the body ended at byte {at} of {file.size}")
        except TarnError as error:
            raise StreamError(str(error)) from error
        except Exception as error:  # each store raises its own kinds
            if storage.local_path(url) is not None:
                raise StreamError(str(storage.unreadable(url, error))) from error
            attempts += 1
            if is_final(error) or attempts >= patience.attempts or time.monotonic() - moved > patience.deadline:
                raise StreamError(
                    f"{url} cannot be read (gave up after {attempts} attempt{'s' if attempts > 1 else ''}: "
                    f"{cause(error)}): {advice(error)}."
                ) from error
            time.sleep(patience.pause(attempts - 1))


def opened(url: str, options: Mapping[str, Any], patience: Patience, at: int) -> Any:
    """A file that reach() brings to byte `at`. Raises whatever the store raises."""
    if is_web(url):
        return web_file(url, options, patience, at)
    path = storage.local_path(url)
    return storage.remote(str(path or url), options if path is None else {}).open(str(path or url), "rb")


def web_file(url: str, options: Mapping[str, Any], patience: Patience, at: int) -> Any:
    """One request for the whole file or its rest, without fsspec's limit of 5 minutes, and not unpacked on the way."""
    import aiohttp

    limits = aiohttp.ClientTimeout(total=None, sock_connect=patience.silence, sock_read=patience.silence)
    client = {"timeout": limits, "auto_decompress": False, "raise_for_status": True, **options.get("client_kwargs", {})}
    store = storage.remote(url, {**options, "client_kwargs": client})
    headers = {**options.get("headers", {}), "Accept-Encoding": "identity"}
    if at:
        headers["Range"] = f"bytes={at}-"
    try:
        return store.open(url, "rb", block_size=0, size=1, headers=headers)  # a size of 1 saves asking for it
    except aiohttp.ClientResponseError as error:
        if error.status == 404:
            raise FileNotFoundError(url) from error
        raise


def reach(file: Any, at: int) -> None:
    """Brings an open file to byte `at`: a web server without ranges sends all of it again."""
    response = getattr(file, "r", None)
    if response is None:
        file.seek(at)
    elif response.status == 206:
        told = response.headers.get("Content-Range", "")
        if not told.startswith(f"bytes {at}-"):
            raise OSError(f"the server answered with {told or 'some range'}, asked for was byte {at} and on")
    else:
        while at:
            piece = file.read(min(at, PIECE))
            if not piece:
                raise EOFError("the body is shorter than before")
            at -= len(piece)


def version_of(file: Any) -> str:
    """Whatever a web server tells of it; stores' own clients look themselves."""
    headers = getattr(getattr(file, "r", None), "headers", {})
    return str(headers.get("ETag") or headers.get("Last-Modified") or "")
