"""What the living runs of a host will need of the cache, and how soon: the word that eviction goes by.

Each run keeps one file under `claims/`, locked by the kernel as long as its process lives. A file that can be locked
is a dead run's, and is removed. In a folder that cannot be written nothing is claimed, for nothing is evicted there; on
a full disk the last word that could be written stands.
"""

import fcntl
import itertools
import json
import os
import platform
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from tarn.training.streaming.remote.locks import is_free

NUMBERS = itertools.count()


class Claims:
    """digest -> distance: bytes of other files that are needed before it, as a share of the limit (0: in use)."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "claims"
        with suppress(OSError):
            self.folder.mkdir(parents=True, exist_ok=True)
        self.path = self.folder / f"{platform.node()}-{os.getpid()}-{next(NUMBERS)}.json"
        self.own: Mapping[str, float] = {}
        self.file: int | None = None

    def update(self, distances: Mapping[str, float]) -> None:
        """Replaces this run's word; others see the old one or the new one."""
        self.own = dict(distances)
        with suppress(OSError):
            before, self.file = self.file, self.written()
            if before is not None:
                os.close(before)

    def written(self) -> int:
        """The file of the own word, in its place, locked. Raises OSError, and leaves nothing then."""
        temporary = self.path.with_suffix(".tmp")
        file = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            with os.fdopen(os.dup(file), "w") as out:
                json.dump(self.own, out)
            temporary.rename(self.path)
        except OSError:
            os.close(file)
            temporary.unlink(missing_ok=True)
            raise
        return file

    def distances(self) -> dict[str, float]:
        """The shortest distance of each file over all living runs; own words are the ones of the last update."""
        shortest = dict(self.own)
        for told in self.of_others():
            for digest, distance in told.items():
                shortest[digest] = min(distance, shortest.get(digest, distance))
        return shortest

    def of_others(self) -> Iterator[dict[str, float]]:
        try:
            found = sorted(self.folder.iterdir())
        except OSError:
            return
        for path in found:
            if path == self.path:
                continue
            try:
                with path.open("rb") as file:
                    if is_free(file.fileno()):
                        path.unlink(missing_ok=True)
                    elif path.suffix == ".json":
                        yield json.load(file)
            except (OSError, ValueError):
                continue  # gone meanwhile, half written, or another user's

    def close(self) -> None:
        if self.file is not None:
            self.path.unlink(missing_ok=True)
            os.close(self.file)
            self.file = None
