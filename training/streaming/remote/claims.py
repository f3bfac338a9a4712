"""What the living runs of a host will need of the cache, and how soon: the word that eviction goes by.

Each run keeps one file under `claims/`, locked by the kernel as long as its process lives. A file that can be locked
is a dead run's, and is removed.
"""

import fcntl
import itertools
import json
import os
import platform
from collections.abc import Iterator, Mapping
from pathlib import Path

NUMBERS = itertools.count()


class Claims:
    """digest -> distance: bytes of other files that are needed before it, as a share of the limit (0: in use)."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "claims"
        self.folder.mkdir(parents=True, exist_ok=True)
        self.path = self.folder / f"{platform.node()}-{os.getpid()}-{next(NUMBERS)}.json"
        self.own: Mapping[str, float] = {}
        self.file: int | None = None

    def update(self, distances: Mapping[str, float]) -> None:
        """Replaces this run's word; others see the old one or the new one."""
        self.own = dict(distances)
        temporary = self.path.with_suffix(".tmp")
        file = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        fcntl.flock(file, fcntl.LOCK_EX)
        with os.fdopen(os.dup(file), "w") as out:
            json.dump(self.own, out)
        temporary.rename(self.path)
        before, self.file = self.file, file
        if before is not None:
            os.close(before)

    def distances(self) -> dict[str, float]:
        """The shortest distance of each file over all living runs; own words are the ones of the last update."""
        shortest = dict(self.own)
        for told in self.of_others():
            for digest, distance in told.items():
                shortest[digest] = min(distance, shortest.get(digest, distance))
        return shortest

    def of_others(self) -> Iterator[dict[str, float]]:
        for path in self.folder.iterdir():
            if path == self.path:
                continue
            try:
                with path.open("rb") as file:
                    if is_free(file.fileno()):
                        path.unlink(missing_ok=True)
                    elif path.suffix == ".json":
                        yield json.load(file)
            except (FileNotFoundError, ValueError):
                continue

    def close(self) -> None:
        if self.file is not None:
            self.path.unlink(missing_ok=True)
            os.close(self.file)
            self.file = None


def is_free(file: int) -> bool:
    """Whether nobody holds the lock of an open file."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    except BlockingIOError:
        return False
