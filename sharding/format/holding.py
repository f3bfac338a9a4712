"""Who reads a local dataset holds it: by a shared kernel lock on the manifest file that it read.

A packing that replaces the dataset keeps that file under another name (see leftovers.py), and what it names, until
nobody holds it any more. Locks go with their processes, however these end. On a network disk they reach as far as its
locks do (NFS: every host, unless it is mounted with local_lock). Readers of stores cannot be known.
"""

import contextlib
import fcntl
import os
import weakref
from collections.abc import Iterator
from pathlib import Path

from tarn.sharding.storage.local import lies_at


class Hold:
    """On an open file, until nobody refers to this object or the process ends. What another process gets of it is
    nothing: there is no sending a lock."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        weakref.finalize(self, os.close, descriptor)

    def __deepcopy__(self, memo: object) -> "Hold":
        return self

    def __reduce__(self) -> tuple[type[None], tuple[()]]:
        return type(None), ()


def read_held(path: Path) -> tuple[bytes, Hold]:
    """All of the file that lies there now, and a hold on it. Raises OSError."""
    while True:
        hold = Hold(os.open(path, os.O_RDONLY | os.O_CLOEXEC))
        with contextlib.suppress(OSError):  # a disk without locks: then nothing is removed unasked
            fcntl.flock(hold.descriptor, fcntl.LOCK_SH)
        if lies_at(hold.descriptor, path):  # it may have been replaced, and what it names removed, before it was locked
            with open(hold.descriptor, "rb", closefd=False) as file:
                return file.read(), hold


@contextlib.contextmanager
def unless_held(path: Path) -> Iterator[bool | None]:
    """Whether nobody holds the file; if so, nobody can until the end. None where the disk knows no locks."""
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        free: bool | None = True
    except BlockingIOError:
        free = False
    except OSError:
        free = None
    try:
        yield free
    finally:
        os.close(descriptor)
