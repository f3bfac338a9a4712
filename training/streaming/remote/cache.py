"""Shards of object stores on the local disk: whole, checked, bounded, shared by every process of the host.

A file is named by its SHA-256, so two datasets never collide and equal shards lie there once. It is written as
`<digest>.<bytes>.part` under a lock of the kernel (flock: gone with its process), and renamed to `<digest>.bin` when
its digest is right and the disk has it. Disks lose and turn bytes all the same, so readers check what they take: a
picture by the index's CRC-32, an index by its SHA-256; a file that is not what its name says is removed, and fetched
again. A reader that has a file open keeps it, whoever removes the name.
"""

import errno
import hashlib
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tarn.sharding.storage.local import lies_at
from tarn.training.streaming.remote.claims import Claims
from tarn.training.streaming.remote.locks import is_abandoned, locked

WHOLE, PART = ".bin", ".part"
UNCLAIMED = 2.0  # a distance beyond all that is claimed

Stream = Callable[[int], Iterable[bytes]]  # the bytes of a file from an offset on


class WrongBytesError(Exception):
    """What arrived does not have the digest of the manifest."""


class NoRoomError(Exception):
    """Neither limit nor disk leaves room for a file that is wanted now."""


@dataclass(frozen=True, slots=True)
class CachedFile:
    """A file of the cache. bytes: that it will have when it is whole; written: that it has; since: ns of the epoch."""

    path: Path
    digest: str
    bytes: int
    written: int
    since: int

    @property
    def whole(self) -> bool:
        return self.path.suffix == WHOLE


class ShardCache:
    """A folder of cached files of at most `limit` bytes in all. Several processes and runs may use it at once."""

    def __init__(self, folder: Path, limit: int) -> None:
        self.folder, self.limit = folder, limit
        folder.mkdir(parents=True, exist_ok=True)

    def path(self, digest: str) -> Path:
        return self.folder / f"{digest}{WHOLE}"

    def holds(self, digest: str, size: int) -> bool:
        try:
            return self.path(digest).stat().st_size == size
        except OSError:
            return False

    def fetch(self, digest: str, size: int, stream: Stream, claims: Claims) -> bool:
        """Brings a file here. Returns False where another process is bringing it just now.

        stream(at) gives the bytes from `at` to the end. What a killed process left half-done is gone on with.
        Raises NoRoomError, WrongBytesError (nothing is kept then), OSError of a full disk, or what stream raises.
        """
        if self.holds(digest, size):
            return True
        part = self.folder / f"{digest}.{size}{PART}"
        with locked(part, blocking=False) as file:
            if file is None or self.holds(digest, size):
                return file is not None
            try:
                self.make_room(size, digest, claims)
                self.fill(part, file, digest, size, stream)
                os.fsync(file)  # else a power cut may leave the name and not the bytes
            except (WrongBytesError, NoRoomError, OSError):
                part.unlink(missing_ok=True)
                raise
            part.rename(self.path(digest))
        return True

    def read_whole(self, digest: str, size: int) -> bytes | None:
        """A small file's bytes, None where it is not here or not what its name says."""
        try:
            data = self.path(digest).read_bytes()
        except OSError:
            return None
        return data if len(data) == size and hashlib.sha256(data).hexdigest() == digest else None

    def keep(self, digest: str, data: bytes) -> None:
        """Puts a small file here that was checked already; where it cannot be written, it is not kept.

        Not forced to the disk, which would take a first batch's time: who reads it looks at its digest.
        """
        temporary = self.folder / f".{digest}.{os.getpid()}.tmp"
        try:
            temporary.write_bytes(data)
            temporary.rename(self.path(digest))
        except OSError:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)

    def remove_damaged(self, digest: str, file: int) -> None:
        """The name of an open file that is not what it says, where it still is that file's; where that may be done."""
        path = self.path(digest)
        with suppress(OSError):
            if lies_at(file, path):
                path.unlink(missing_ok=True)

    def fill(self, part: Path, file: int, digest: str, size: int, stream: Stream) -> None:
        hashed, at = hashlib.sha256(), 0
        while piece := os.pread(file, 2**20, at):
            hashed.update(piece)
            at += len(piece)
        if at > size:
            raise WrongBytesError(f"{part} is longer than the shard")
        for piece in stream(at):
            hashed.update(piece)
            at += write_all(file, piece, at)
        if at != size or hashed.hexdigest() != digest:
            raise WrongBytesError(f"{at} bytes with the SHA-256 {hashed.hexdigest()[:12]}…, expected {digest[:12]}…")

    def make_room(self, size: int, digest: str, claims: Claims) -> None:
        """Removes what no living run needs, then what is needed later than `digest`; never what is needed before it.

        Raises NoRoomError where the limit does not allow for it then, OSError (ENOSPC) where the disk does not.
        """
        with locked(self.folder / "lock", blocking=True):
            files = [file for file in self.files() if file.digest != digest]
            spare = self.limit - sum(file.bytes for file in files) - size
            free = shutil.disk_usage(self.folder).free - sum(file.bytes - file.written for file in files) - size
            if spare < 0 or free < 0:
                for file in evictable(files, claims.distances(), digest):
                    if file.whole or is_abandoned(file.path):
                        file.path.unlink(missing_ok=True)
                        spare, free = spare + file.bytes, free + file.bytes
                    if spare >= 0 and free >= 0:
                        break
        if spare < 0:
            raise NoRoomError(f"{self.folder} is at its limit of {self.limit} bytes with files that are needed before")
        if free < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.folder))

    def files(self) -> Iterator[CachedFile]:
        for entry in os.scandir(self.folder):
            name, path = entry.name, Path(entry.path)
            try:
                told = entry.stat()
                if name.endswith(WHOLE):
                    yield CachedFile(path, name.removesuffix(WHOLE), told.st_size, told.st_size, told.st_mtime_ns)
                elif name.endswith(PART):
                    digest, size = name.removesuffix(PART).split(".")
                    yield CachedFile(path, digest, int(size), told.st_size, told.st_mtime_ns)
            except (OSError, ValueError):
                continue  # renamed or removed meanwhile, or somebody else's


def evictable(files: list[CachedFile], distances: Mapping[str, float], digest: str) -> list[CachedFile]:
    """What is needed later than `digest`, latest first; among what nobody claimed the oldest first."""
    mine = distances.get(digest, 0.0)
    later = [file for file in files if distances.get(file.digest, UNCLAIMED) > mine]
    return sorted(later, key=lambda file: (-distances.get(file.digest, UNCLAIMED), file.since))


def write_all(file: int, piece: bytes, at: int) -> int:
    done = 0
    view = memoryview(piece)
    while done < len(view):
        done += os.pwrite(file, view[done:], at + done)
    return done
