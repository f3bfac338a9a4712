"""A large file that is read at random, here and there: on a disk by pread(2), in a store by ranges, patiently."""

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from tarn.sharding import storage
from tarn.sharding.errors import TarnError
from tarn.sharding.storage.clients import build_client
from tarn.sharding.storage.local import refuse_special
from tarn.sharding.storage.persistence import Patience, Reader, patiently

PIECE = 4 * 2**20  # bytes that are read at a time where many follow each other


class DamagedMemberError(TarnError):
    """A member's bytes are not what its archive says of them. problem: what is wrong, without the member's name."""

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(f"{name}: {problem}: copy the archive again.")
        self.name, self.problem = name, problem

    def __reduce__(self) -> tuple[type["DamagedMemberError"], tuple[str, str]]:
        return DamagedMemberError, (self.name, self.problem)


class Archive:
    """Opened when it is first needed; its size (bytes) is known then, and `stamp` tells it from a later file of its
    name.

    It goes to another process closed, by its name and its stamp: the members of a task share one, so that it is opened
    once for a task, and closed behind it. Threads may read at the same time.
    """

    def __init__(self, url: str, stamp: tuple[int, ...] | None = None) -> None:
        self.url, self.told, self.lock = url, stamp, threading.Lock()
        self.door: Door | None = None
        self.is_local = storage.local_path(url) is not None

    def __reduce__(self) -> tuple[type["Archive"], tuple[str, tuple[int, ...] | None]]:
        return Archive, (self.url, self.told)

    def __str__(self) -> str:
        return self.url

    @property
    def size(self) -> int:
        return self.opened().stamp[0]

    def opened(self) -> "Door":
        """Raises TarnError where it cannot be read, or was replaced since it was listed."""
        with self.lock:
            if self.door is None:
                path = storage.local_path(self.url)
                door = LocalDoor(path) if path is not None else RemoteDoor(self.url)
                if self.told not in (None, door.stamp):
                    raise TarnError(f"{self.url} changed while it was packed: start again when nobody writes it.")
                self.door, self.told = door, door.stamp
            return self.door

    def read(self, offset: int, size: int) -> bytes:
        """Exactly these bytes. Raises TarnError where there are fewer, or it cannot be read."""
        data = self.opened().read(offset, size)
        if len(data) != size:
            raise TarnError(
                f"{self.url} ends at byte {offset + len(data):,}, {size:,} bytes from {offset:,} on were expected: it "
                "is cut short, copy it again."
            )
        return data

    def pieces(self, offset: int, size: int) -> Iterator[bytes]:
        """The same, a few megabytes at a time."""
        for at in range(offset, offset + size, PIECE):
            yield self.read(at, min(PIECE, offset + size - at))


class LocalDoor:
    """A descriptor, closed when nobody has it any more. stamp: size, and the time of the last change in ns."""

    def __init__(self, path: Path) -> None:
        try:
            self.file = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # a pipe's opening would wait for who writes
            told = os.fstat(self.file)
            refuse_special(told)
        except OSError as error:
            raise storage.unreadable(str(path), error) from error
        self.path = path
        self.stamp: tuple[int, ...] = (told.st_size, told.st_mtime_ns)

    def read(self, offset: int, size: int) -> bytes:
        try:
            data = os.pread(self.file, size, offset)
            while len(data) < size and (more := os.pread(self.file, size - len(data), offset + len(data))):
                data += more  # Linux reads 2 GB at a time, a signal may end a read early
        except OSError as error:
            raise storage.unreadable(str(self.path), error) from error
        return data

    def __del__(self, close: Callable[[int], None] = os.close) -> None:
        if hasattr(self, "file"):
            close(self.file)


class RemoteDoor:
    """stamp: its size."""

    def __init__(self, url: str) -> None:
        root, _, self.name = url.rpartition("/")
        size = patiently(lambda: storage.remote(url).size(url), url, Patience())
        if size is None:
            raise TarnError(f"{url}: its server does not tell its size: copy it to a disk or a store.")
        self.stamp: tuple[int, ...] = (int(size),)
        self.reader = Reader(root, build_client(root, {}))

    def read(self, offset: int, size: int) -> bytes:
        end = min(self.stamp[0], offset + size)
        return self.reader.read(self.name, offset, end) if end > offset else b""


Door = LocalDoor | RemoteDoor
