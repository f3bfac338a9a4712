"""Pictures by their URLs, each in a store or on a web server of its own."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

from tarn.sharding import storage
from tarn.sharding.archives.archive import DamagedMemberError
from tarn.sharding.errors import TarnError
from tarn.sharding.progress import progress_bar
from tarn.sharding.sources.store import StoredFile
from tarn.sharding.storage.answers import cause, status_of
from tarn.sharding.storage.persistence import Patience, RemoteError, patiently
from tarn.sharding.storage.urls import kind_of

AT_A_TIME, IN_HAND = 32, 4096  # URLs whose sizes are asked for, and that wait for it


@dataclass(frozen=True, slots=True)
class Address(StoredFile):
    """size: as its server told."""

    @property
    def ending(self) -> str:
        return PurePosixPath(path_of(self.url)).suffix

    def read(self) -> bytes:
        """Raises DamagedMemberError where it is not there any more, TarnError where the server is lost."""
        try:
            return storage.read_bytes(self.url)
        except RemoteError as error:
            if error.missing:
                raise DamagedMemberError(self.url, "it is not there any more") from error
            raise


def path_of(url: str) -> str:
    """Its path as people read it, without what is asked of a web server behind it."""
    if kind_of(url) != "http":
        return url.partition("://")[2]
    parts = urlsplit(url)
    return f"{parts.netloc}{unquote(parts.path)}"


def sizes_of(urls: Sequence[str]) -> Iterator[int | str]:
    """Of each, in order: bytes, or why there are none. Raises TarnError where a server is lost."""
    with ThreadPoolExecutor(AT_A_TIME) as pool, progress_bar(len(urls), "asking for sizes", "url") as bar:
        for start in range(0, len(urls), IN_HAND):
            for found in pool.map(size_or_problem, urls[start : start + IN_HAND]):
                bar.update()
                yield found


def size_or_problem(url: str) -> int | str:
    try:
        size = patiently(asking(url), url, Patience())
    except RemoteError as error:
        if not error.final:
            raise
        return cause(error.__cause__ or error)
    return size if size is not None else "its server does not tell its size"


def asking(url: str) -> Callable[[], int | None]:
    def ask() -> int | None:
        try:
            size = storage.remote(url).size(url)
        except FileNotFoundError as error:
            if kind_of(url) == "http" and not 400 <= (status_of(error) or 0) < 500:
                raise ConnectionError(cause(error.__cause__ or error)) from None  # fsspec calls every fault not found
            raise
        except ValueError as error:
            raise TarnError(f"{url} is no URL that can be asked for ({error}): write it out.") from error
        return int(size) if size is not None else None

    return ask
