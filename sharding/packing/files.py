"""A file and its checksums at the same time: a second thread sums up, for that lasts as long as writing."""

import hashlib
import os
import threading
import zlib
from pathlib import Path
from queue import Queue
from types import TracebackType

WAITING = 8  # groups of pieces that may wait to be summed
BEHIND = 1  # groups that wait, from which on the thread that writes takes sums upon itself: neither has long to wait
ENOUGH = 1 << 20  # bytes that are written at once: small files come together, and threads seldom wait for each other
MOST_PIECES = 1000  # that the system takes at once (IOV_MAX is 1024)


class SummedFile:
    """Opened for writing; its SHA-256, and the CRC-32 of each piece for which it was asked, are known when it is
    closed. Raises MemoryError at its end, where a sum had no memory."""

    def __init__(self, path: Path) -> None:
        self.file, self.sha256 = path.open("wb", buffering=0), hashlib.sha256()
        self.crcs: list[int] = []
        self.pieces: list[bytes] = []
        self.alone: list[tuple[int, bytes]] = []  # pieces whose CRC is left to the thread, and its place among them
        self.bytes = 0
        self.failed: MemoryError | None = None
        self.written: Queue[tuple[list[bytes], list[tuple[int, bytes]]] | None] = Queue(WAITING)
        # a daemon: a signal may strike before the file is entered, and then nobody tells the thread to end
        self.thread = threading.Thread(target=self.sum_up, name="tarn-sums", daemon=True)
        self.thread.start()

    def __enter__(self) -> "SummedFile":
        return self

    def sum_up(self) -> None:
        while (group := self.written.get()) is not None:
            pieces, alone = group
            try:
                for number, piece in alone:
                    self.crcs[number] = zlib.crc32(piece)
                self.sha256.update(b"".join(pieces))  # a copy costs less than taking the interpreter's lock for each
            except MemoryError as error:  # who writes waits for this thread, which therefore goes on
                self.failed = error

    def write(self, pieces: list[bytes], alone: bytes | None = None) -> None:
        """Few pieces, one behind the other. alone: one of them whose CRC-32 is wanted. Raises OSError."""
        if len(self.pieces) + len(pieces) > MOST_PIECES:
            self.flush()
        self.pieces += pieces
        if alone is not None:
            is_behind = self.written.qsize() >= BEHIND
            if not is_behind:
                self.alone.append((len(self.crcs), alone))
            self.crcs.append(zlib.crc32(alone) if is_behind else 0)
        self.bytes += sum(map(len, pieces))
        if self.bytes >= ENOUGH:
            self.flush()

    def flush(self) -> None:
        """Writes what has come together, in one call of the system where it takes it all. Raises OSError."""
        pieces, size = self.pieces, self.bytes
        self.written.put((pieces, self.alone))
        self.pieces, self.alone, self.bytes = [], [], 0
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
        if error is None and self.failed is not None:
            raise self.failed
