"""Files that only tell: what cannot be written to them is lost, said once, and ends nothing."""

import os
from collections.abc import Callable
from pathlib import Path


class Appending:
    """A file that grows by whole records. A record that does not fit leaves nothing of itself behind; the next is tried
    again, for room may come back. warn: receives one sentence, at the first failure alone."""

    def __init__(self, path: Path, warn: Callable[[str], object]) -> None:
        self.path, self.warn, self.file = path, warn, -1

    def append(self, record: bytes) -> None:
        try:
            if self.file < 0:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self.file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
            self.write(record)
        except OSError as error:
            warn, self.warn = self.warn, lambda text: None
            warn(f"Warning: {self.path} cannot be written ({error}): what it would tell is lost, the run goes on.")

    def write(self, record: bytes) -> None:
        """Raises OSError with the file as long as before."""
        before, rest = os.fstat(self.file).st_size, record
        try:
            while rest:
                rest = rest[os.write(self.file, rest) :]
        except OSError:
            os.ftruncate(self.file, before)
            raise

    def close(self) -> None:
        if self.file >= 0:
            os.close(self.file)
            self.file = -1
