"""Locks of the kernel (flock) on files that come and go: gone with the process that holds them."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tarn.sharding.storage.local import lies_at


@contextmanager
def locked(path: Path, blocking: bool) -> Iterator[int | None]:
    """The file, opened and locked for this process alone; None where another holds it and is not waited for."""
    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if blocking else fcntl.LOCK_NB))
        except BlockingIOError:
            os.close(file)
            yield None
            return
        if lies_at(file, path):
            break
        os.close(file)  # renamed or removed between opening and locking: look again
    try:
        yield file
    finally:
        os.close(file)


def is_abandoned(path: Path) -> bool:
    """Whether nobody writes a part any more."""
    try:
        with path.open("rb") as file:
            return is_free(file.fileno())
    except FileNotFoundError:
        return False


def is_free(file: int) -> bool:
    """Whether nobody holds the lock of an open file, as far as can be told."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    except OSError:
        return False
