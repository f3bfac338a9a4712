"""Where a shard is written before it is published: aside, and on the output's own disk where it has one."""

import contextlib
import hashlib
import os
import platform
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tarn.sharding import storage
from tarn.sharding.errors import TarnError
from tarn.sharding.format.litter import STAGING, remove_half_written, staging_left
from tarn.sharding.storage.uploads import drop_unfinished


@contextmanager
def staging_folder(root: str) -> Iterator[Path]:
    """On the output's disk, so that publishing is renaming; of a store's among the temporary files. Each process has
    one shard in it at a time. Gone at the end. Only for who has the lock: what lies there of others is of processes
    that were killed."""
    clear_staging(root)
    out = storage.local_path(root)
    if out is None:
        folder = Path(tempfile.mkdtemp(prefix=temporary_prefix(root)))
    else:
        folder = out / f"{STAGING}{platform.node()}-{os.getpid()}"
        folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def clear_staging(root: str) -> None:
    """Of processes that were killed: their staging, files that they were about to rename, parts that they uploaded."""
    out = storage.local_path(root)
    temporary = Path(tempfile.gettempdir()).glob(f"{temporary_prefix(root)}*")
    for left in temporary if out is None else staging_left(out):
        shutil.rmtree(left, ignore_errors=True)  # not that of another user, who may write to the same store
    if out is not None:
        remove_half_written(out)
    else:
        drop_unfinished(root)


def temporary_prefix(root: str) -> str:
    """Of a store's staging: the same for every packing of it, so that none fills the disk for good."""
    return f"tarn-packing-{hashlib.sha256(root.rstrip('/').encode()).hexdigest()[:12]}-"


def refuse_another_disk(folder: Path) -> None:
    """Raises TarnError where a split's folder leads there, by a link or a mount: what is written aside could not be
    renamed into it."""
    if folder.stat().st_dev != folder.parent.stat().st_dev:
        raise TarnError(
            f"{folder} lies on another disk than {folder.parent}, so that no shard can be put there whole: let the "
            "dataset's folder itself lie on that disk, or lead there."
        )


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
                refuse_another_disk(folder)
        except OSError as error:
            raise TarnError(f"{root} cannot be written ({storage.reason(error)}): check permissions.") from error
        yield
    finally:
        for folder in folders:
            with contextlib.suppress(OSError):  # it holds shards
                folder.rmdir()
