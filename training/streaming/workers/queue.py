"""Jobs that wait for whichever decoding process is free next: a pipe that all of them read from.

The jobs of all batches made ahead lie there, so processes go on while the main process is busy with something else.
A job is a record of one length, written and read in one call. A pipe gives such a record whole, and to one reader:
writes of up to PIPE_BUF bytes are atomic (POSIX.1-2017, write), and a read holds the pipe's lock until it is done.
"""

import os
import select
import struct
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from tarn.training.streaming.sources import Opening
from tarn.training.streaming.workers.batches import Place, Rows

RECORD = struct.Struct("<5q4i8x")  # 64 bytes, which divide PIPE_BUF and pages
AT_ONCE = select.PIPE_BUF // RECORD.size


@dataclass(frozen=True, slots=True)
class Job:
    """Some rows of a batch. ticket: the batch's number; piece: their number in it; slot: where the batch goes.
    as_pixels: no JPEG is left to a device. opening: what is here of them already; it does not go through the queue.
    """

    ticket: int
    piece: int
    slot: int
    place: Place
    rows: Rows
    as_pixels: bool = False
    opening: Opening | None = None

    def packed(self) -> bytes:
        return RECORD.pack(self.ticket, self.slot, *self.place, self.piece, *self.rows, self.as_pixels)

    @classmethod
    def unpacked(cls, record: bytes) -> "Job":
        ticket, slot, epoch, step, part, piece, first, end, as_pixels = RECORD.unpack(record)
        return cls(ticket, piece, slot, (epoch, step, part), (first, end), bool(as_pixels))


class JobQueue:
    """The main process's side. reader, writer: of one pipe; processes have the reader, too.

    Only the process that made the pipe may use this, and only while it is open.
    """

    def __init__(self, reader: int, writer: int) -> None:
        self.reader, self.writer = reader, writer
        os.set_blocking(reader, False)
        os.set_blocking(writer, False)
        self.waiting: deque[Job] = deque()  # for room in the pipe

    def put(self, jobs: Iterable[Job]) -> None:
        self.waiting.extend(jobs)
        self.fill()

    def put_first(self, jobs: Iterable[Job]) -> None:
        """Before all that nobody has taken yet."""
        self.waiting = deque([*jobs, *self.take_back()])
        self.fill()

    def withdraw(self, is_dropped: Callable[[Job], bool]) -> list[Job]:
        """Returns those that are dropped; what a process has taken already, it does."""
        jobs = self.take_back()
        self.put(job for job in jobs if not is_dropped(job))
        return [job for job in jobs if is_dropped(job)]

    def fill(self) -> None:
        """Into the pipe, as many as it has room for."""
        while self.waiting:
            jobs = list(islice(self.waiting, AT_ONCE))
            try:
                os.write(self.writer, b"".join(job.packed() for job in jobs))
            except BlockingIOError:
                return
            for _ in jobs:
                self.waiting.popleft()

    def take_back(self) -> list[Job]:
        """All that nobody has taken yet, in their order."""
        jobs = [*self.read(), *self.waiting]
        self.waiting.clear()
        return jobs

    def read(self) -> Iterator[Job]:
        while True:
            try:
                record = os.read(self.reader, RECORD.size)
            except BlockingIOError:
                return
            yield Job.unpacked(record)


def jobs_of(reader: int) -> Iterator[Job]:
    """A process's side: one after the other, as they come, until nobody is there to put any."""
    poll = select.poll()
    poll.register(reader, select.POLLIN)
    while True:
        try:
            record = os.read(reader, RECORD.size)
        except BlockingIOError:  # another process was faster
            poll.poll()
            continue
        if not record:
            return
        yield Job.unpacked(record)
