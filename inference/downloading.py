"""Files of a store that are needed on a disk: copied aside, and gone when nobody needs them any more."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tarn.sharding import storage
from tarn.sharding.archives.archive import PIECE, Archive
from tarn.sharding.errors import TarnError
from tarn.sharding.storage.urls import kind_of

MOST_BYTES = 16 * 2**30  # of a model


@contextlib.contextmanager
def at_hand(url: str | os.PathLike[str], most: int = MOST_BYTES) -> Iterator[Path]:
    """The path of a file of a disk; a copy of another one, under its name, until the end.

    Raises TarnError naming the URL where it cannot be read or has more than so many bytes, and where no room is left.
    """
    path = storage.local_path(url)
    if path is not None:
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="tarn-") as folder:
        name = os.fspath(url).partition("?")[0].rstrip("/").rpartition("/")[2] or "model"
        yield download(os.fspath(url), Path(folder) / name, most)


def download(url: str, path: Path, most: int | None = None) -> Path:
    """Patiently, from web servers that know no ranges too. Raises TarnError naming the URL."""
    size = 0
    try:
        with path.open("wb") as file:
            for piece in pieces(url):
                size += len(piece)
                if most is not None and size > most:
                    raise TarnError(f"{url} is not read, for it has more than {most:,} bytes.")
                file.write(piece)
    except OSError as error:
        raise TarnError(f"{url} cannot be copied to {path} ({storage.reason(error)}): make room there.") from error
    return path


def pieces(url: str) -> Iterator[bytes]:
    if kind_of(url) != "http":
        archive = Archive(url)
        yield from archive.pieces(0, archive.size)
        return
    try:
        with storage.remote(url).open(url, "rb") as stream:
            while piece := stream.read(PIECE):
                yield piece
    except Exception as error:  # clients raise their own kinds
        raise storage.unreadable(url, error) from error
