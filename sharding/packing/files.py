"""A file and its checksum at the same time: a second thread sums up, for that lasts as long as writing."""

import hashlib
import os
import threading
from pathlib import Path
from queue import Queue
from types import TracebackType

WAITING = 8  # groups of pieces that may wait to be summed
ENOUGH = 1 << 20  # bytes that are written at once: small files come together, and threads seldom wait for each other
MOST_PIECES = 1000  # that the system takes at once (IOV_MAX is 1024)


class SummedFile:
    """Opened for writing; its SHA-256 is known when it is closed."""

    def __init__(self, path: Path) -> None:
        self.file, self.sha256 = path.open("wb", buffering=0), hashlib.sha256()
        self.pieces: list[bytes] = []
        self.bytes = 0
        self.written: Queue[list[bytes] | None] = Queue(WAITING)
        # a daemon: a signal may strike before the file is entered, and then nobody tells the thread to end
        self.thread = threading.Thread(target=self.sum_up, name="tarn-sums", daemon=True)
        self.thread.start()

    def __enter__(self) -> "SummedFile":
        return self

    def sum_up(self) -> None:
        while (pieces := self.written.get()) is not None:
            self.sha256.update(b"".join(pieces))  # a copy costs less than taking the interpreter's lock for each

    def write(self, pieces: list[bytes]) -> None:
        """Few pieces, one behind the other. Raises OSError."""
        if len(self.pieces) + len(pieces) > MOST_PIECES:
            self.flush()
        self.pieces += pieces
        self.bytes += sum(map(len, pieces))
        if self.bytes >= ENOUGH:
            self.flush()

    def flush(self) -> None:
        """Writes what has come together, in one call of the system where it takes it all. Raises OSError."""
        pieces, size = self.pieces, self.bytes
        self.pieces, self.bytes = [], 0
        self.written.put(pieces)
        taken = os.writev(self.file.fileno(), pieces)
        if taken < size:
            rest = memoryview(b"".join(pieces))[taken:]
            while rest:
                rest = rest[self.file.write(rest) :]

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        try:
            if error is None and self.pieces:
                self.flush()
        finally:
            self.written.put(None)
            self.thread.join()
            self.file.close()
