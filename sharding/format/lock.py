"""One writer at a time: who packs or indexes into a folder keeps all others out of it meanwhile.

On a disk by a kernel lock on `.packing.lock`, which goes with its process; what a killed one leaves is an unlocked file
that the next one takes, and the last thing that a writer does is to remove it. In a store, which has no locks, by a
mark of its own name: whoever finds another mark beside its own withdraws. Of two that come at the very same moment both
may withdraw, but never do both stay, since the stores' listings (S3, GCS, Azure) show every object that was put before.
"""

import contextlib
import fcntl
import os
import platform
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

from tarn.sharding import storage
from tarn.sharding.errors import TarnError
from tarn.sharding.storage.local import lies_at

LOCK = ".packing.lock"
REMOVALS = 100  # of the folder by others, between making it and the lock; where it can never be made, that is told
A_LOOK = 0.05  # s, longer than somebody needs to look whether the lock is taken
MARK = ".packing"  # <host>-<process>-<random>.packing


@contextlib.contextmanager
def only_writer(root: str) -> Iterator[None]:
    """Makes a local folder where there is none, and removes it again if it stays empty. Raises TarnError at once where
    somebody else writes there."""
    folder = storage.local_path(root)
    if folder is None:
        with marked(root):
            yield
        return
    fresh = not folder.exists()
    if not fresh and not os.access(folder, os.W_OK):
        yield  # nobody can write there, and what is there may be just what is wanted
        return
    try:
        with locked(folder, root):
            yield
    finally:
        if fresh:
            with contextlib.suppress(OSError):  # it is not empty
                folder.rmdir()


@contextlib.contextmanager
def locked(folder: Path, root: str) -> Iterator[None]:
    path = folder / LOCK
    descriptor = open_locked(path, root)
    if descriptor is None:
        with marked(root):
            yield
        return
    try:
        yield
    finally:
        path.unlink(missing_ok=True)  # who has opened it meanwhile sees that it is gone, and makes another
        os.close(descriptor)


def open_locked(path: Path, root: str) -> int | None:
    """None where the disk knows no locks. Raises TarnError where somebody else has it, or nothing can be written."""
    patience, removed = 3, 0
    while True:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
        except OSError as error:
            removed += 1
            if isinstance(error, FileNotFoundError) and removed < REMOVALS:
                continue  # another one has removed the empty folder
            raise TarnError(
                f"{root} cannot be written ({storage.reason(error)}): check the path and permissions."
            ) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            told = os.pread(descriptor, 300, 0).decode("utf-8", "replace")
            os.close(descriptor)
            if patience:
                patience -= 1
                time.sleep(A_LOOK)
                continue
            raise TarnError(busy(root, told or "another process")) from error
        except OSError:
            os.close(descriptor)
            path.unlink(missing_ok=True)
            return None
        if lies_at(descriptor, path):
            os.ftruncate(descriptor, 0)
            with contextlib.suppress(OSError):  # a full disk: the lock holds without the words, and prune makes room
                os.write(descriptor, f"process {os.getpid()} on {platform.node()}".encode())
            return descriptor
        os.close(descriptor)


@contextlib.contextmanager
def marked(root: str) -> Iterator[None]:
    mine = f"{platform.node()}-{os.getpid()}-{uuid.uuid4().hex[:12]}{MARK}"
    storage.publish(storage.join(root, mine), b"somebody packs or indexes here\n")
    try:
        others = [name for name in living_marks(root) if name != mine]
        if others:
            host, process, _ = others[0].rsplit("-", 2)
            advice = f" (if that one is dead, remove {storage.join(root, others[0])})"
            raise TarnError(busy(root, f"process {process} on {host}", advice))
        yield
    finally:
        with contextlib.suppress(TarnError):  # then it is told by the next one
            storage.remove(storage.join(root, mine))


def living_marks(root: str) -> list[str]:
    """Of all who write there now; those of this host's dead processes are removed."""
    living = []
    for name in storage.names(root, MARK):
        host, _, process = name.rpartition("-")[0].rpartition("-")
        if host == platform.node() and process.isdigit() and not is_alive(int(process)):
            storage.remove(storage.join(root, name))
        else:
            living.append(name)
    return living


def is_being_written(root: str) -> bool:
    folder = storage.local_path(root)
    if folder is not None:
        try:
            descriptor = os.open(folder / LOCK, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            pass
        finally:
            os.close(descriptor)
        return False
    return bool(storage.names(root, MARK))


def is_alive(process: int) -> bool:
    """Of this host."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def busy(root: str, who: str, advice: str = "") -> str:
    return f"{root} is being packed or indexed by {who}: wait for it, or choose another output{advice}."
