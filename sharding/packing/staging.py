"""Where shards are written before they are published: aside, and on the output's own disk where it has one."""

import contextlib
import os
import platform
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tarn.sharding import storage
from tarn.sharding.errors import TarnError
from tarn.sharding.format.litter import STAGING, remove_half_written


@contextmanager
def staging_folder(root: str) -> Iterator[Path]:
    """So that publishing is renaming; gone at the end. Only for who has the lock: what lies there of others is of
    processes that were killed."""
    out = storage.local_path(root)
    if out is None:
        with tempfile.TemporaryDirectory(prefix="tarn-") as temporary:
            yield Path(temporary)
        return
    clear_staging(out)
    folder = out / f"{STAGING}{platform.node()}-{os.getpid()}"
    try:
        folder.mkdir()
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def clear_staging(out: Path) -> None:
    """Of processes that were killed: their staging, and files that they were about to rename."""
    for left in out.glob(f"{STAGING}*"):
        shutil.rmtree(left, ignore_errors=True)
    remove_half_written(out)


@contextmanager
def split_folders(root: str, splits: Iterable[str]) -> Iterator[None]:
    """Made before the long way, so that a place that cannot be written is told of at once; those that stay empty go.

    Raises TarnError.
    """
    out = storage.local_path(root)
    folders = [out / split for split in splits] if out is not None else []
    try:
        try:
            for folder in folders:
                folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise TarnError(f"{root} cannot be written ({storage.reason(error)}): check permissions.") from error
        yield
    finally:
        for folder in folders:
            with contextlib.suppress(OSError):  # it holds shards
                folder.rmdir()
