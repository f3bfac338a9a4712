"""Pictures by name: files, folders, shards; told one after the other, read only when it is their turn."""

import os
import re
import tarfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from tarn.sharding import storage
from tarn.sharding.errors import TarnError, UsageError
from tarn.sharding.sources.disk import pictures_in
from tarn.sharding.sources.tree import EXTENSIONS

MOST_BYTES = 512 * 2**20  # of a member: a header that claims more is damaged or hostile


@dataclass(frozen=True, slots=True)
class NamedPicture:
    """name: for the report. read: gives the bytes, or raises TarnError."""

    name: str
    read: Callable[[], bytes]


def find_pictures(paths: Sequence[str | os.PathLike[str]]) -> Iterator[NamedPicture]:
    """Files as they are, folders with all below them in sorted order, shards (.tar, also `{000..003}`) in theirs.

    Raises UsageError before anything is told where a path is not there or a folder holds no picture.
    """
    urls = [url for path in paths for url in expanded(os.fspath(path))]
    found = []
    for url in urls:
        path = storage.local_path(url)
        if not storage.exists(url, sure=True):
            raise UsageError(f"{url} is not there: give pictures, folders or shards (.tar).")
        below = sorted(pictures_in(path)) if path is not None and path.is_dir() else None
        if below == []:
            raise UsageError(f"{url} holds no pictures ({', '.join(EXTENSIONS)}).")
        found.append((url, below))
    return (picture for url, below in found for picture in told(url, below))


def expanded(path: str) -> list[str]:
    """`a-{000..002}.tar` as a-000.tar, a-001.tar, a-002.tar; anything else as it is."""
    match = re.search(r"\{(\d+)\.\.(\d+)\}", path)
    if match is None:
        return [path]
    first, last, width = int(match[1]), int(match[2]), len(match[1])
    if last < first:
        raise UsageError(f"{path} counts down: write {{{match[2]}..{match[1]}}}.")
    return [f"{path[: match.start()]}{number:0{width}d}{path[match.end() :]}" for number in range(first, last + 1)]


def told(url: str, below: list[Path] | None) -> Iterator[NamedPicture]:
    if below is not None:
        for path in below:
            yield NamedPicture(str(path), reader(str(path)))
    elif url.endswith(".tar"):
        yield from members(url)
    else:
        yield NamedPicture(url, reader(url))


def reader(url: str) -> Callable[[], bytes]:
    return lambda: storage.read_bytes(url)


def members(url: str) -> Iterator[NamedPicture]:
    """Pictures of a shard, read as a stream. A damaged shard ends with one picture that cannot be read."""
    try:
        with opened(url) as file, tarfile.open(fileobj=file, mode="r|") as tar:
            for member in tar:
                if member.isfile() and member.name.lower().endswith(EXTENSIONS):
                    name = f"{url}/{member.name}"
                    if member.size > MOST_BYTES:
                        raise tarfile.ReadError(f"{member.name} claims {member.size} bytes")
                    part = tar.extractfile(member)
                    data = part.read() if part is not None else b""
                    yield NamedPicture(name, constant(data))
    except (OSError, tarfile.TarError, EOFError) as error:
        yield NamedPicture(url, failing(f"{url} is not a whole tar ({error})"))


def opened(url: str) -> IO[bytes]:
    path = storage.local_path(url)
    stream: Any = path.open("rb") if path is not None else storage.remote(url).open(url, "rb")
    return stream  # type: ignore[no-any-return]


def constant(data: bytes) -> Callable[[], bytes]:
    return lambda: data


def failing(message: str) -> Callable[[], bytes]:
    def read() -> bytes:
        raise TarnError(message)

    return read
