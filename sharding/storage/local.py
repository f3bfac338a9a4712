"""Local files that are there whole or not at all, also after a power cut."""

import errno
import os
import stat
from pathlib import Path

PIECE = 8 * 2**20  # bytes that are read at a time of a file that is larger than it said


def write_whole(path: Path, data: bytes | str, aside: Path | None = None) -> None:
    """The file holds all of the data (a text as UTF-8) or stays as it was. Its folder must be there.

    aside: where it is written first, `<name>.tmp` by default; two that may write at a time each take another. Raises
    OSError.
    """
    temporary = aside or path.with_name(f"{path.name}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(data.encode() if isinstance(data, str) else data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    flush_folder(path.parent)


def flush_folder(folder: Path) -> None:
    """Makes renames in a folder survive a power cut."""
    flush(folder)


def flush(path: Path) -> None:
    """Waits until the medium has a file, or a folder's names."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def lies_at(descriptor: int, path: Path) -> bool:
    """Whether the open file is the one that has this name."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def refuse_special(told: os.stat_result) -> None:
    """Raises OSError for what is no regular file: a pipe may never say anything, and a device may never end."""
    if not stat.S_ISREG(told.st_mode):
        raise OSError(errno.EINVAL, "it is no regular file")


def read_file(path: str | Path) -> bytes:
    """All of a regular file, in half the time of Path.read_bytes(). Raises OSError."""
    file = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        told = os.fstat(file)
        refuse_special(told)
        data = os.read(file, told.st_size + 1)
        if len(data) == told.st_size:  # one byte less than asked for: that was the end
            return data
        parts = [data]
        while more := os.read(file, PIECE):
            parts.append(more)
        return b"".join(parts)
    finally:
        os.close(file)
