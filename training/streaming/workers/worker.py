"""A decoding process, started by the loader (processes/process.py): it makes the batches that it is told."""

import mmap
import os
import struct
from collections import Counter
from dataclasses import dataclass
from itertools import chain
from multiprocessing.connection import Connection
from multiprocessing.reduction import ForkingPickler
from typing import NamedTuple

from tarn.sharding.errors import TarnError
from tarn.training.streaming.plan import StreamPlan
from tarn.training.streaming.processes.shared import mapped
from tarn.training.streaming.remote.traffic import Traffic
from tarn.training.streaming.workers.batches import BatchMaker, Made, build_source
from tarn.training.streaming.workers.layout import slot_arrays
from tarn.training.streaming.workers.queue import Job, jobs_of

WORKER = "tarn.training.streaming.workers.worker:work"  # the task of its process
TICKET = struct.Struct("<q")
IDLE = -1


class Done(NamedTuple):
    """made, or the sentence of an error. counters: since the job before."""

    ticket: int
    piece: int
    made: Made | None
    error: str
    counters: dict[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSetup:
    """Descriptors are the parent's own numbers: it passes them on as they are. number: in the traffic, from 1."""

    plan: StreamPlan
    slots_file: int
    slot_bytes: int
    rows: int
    number: int
    processes: int
    queue_file: int
    tickets_file: int
    traffic_file: int | None


def work(connection: Connection) -> None:
    """First the setup, then jobs: one of its own, or None, then those of the queue."""
    setup: WorkerSetup = connection.recv()
    traffic = None
    if setup.traffic_file is not None:
        traffic = Traffic(setup.plan, setup.processes, setup.traffic_file)
    source = build_source(setup.plan, traffic, setup.number)
    maker, flaw = None, ""
    try:
        maker = BatchMaker(setup.plan, source, alone=True)
    except TarnError as problem:  # a hook that cannot be imported
        flaw = str(problem)
    slots: dict[int, mmap.mmap] = {}
    before: Counter[str] = Counter()
    own: Job | None = connection.recv()
    for job in chain([own] if own is not None else [], jobs_of(setup.queue_file)):
        note(setup, job.ticket)
        if job.slot not in slots:
            slots[job.slot] = mapped(setup.slots_file, setup.slot_bytes, job.slot * setup.slot_bytes)
        size = setup.plan.size_of(job.place[0])
        columns = setup.plan.content.columns(size)
        images, labels, others = slot_arrays(memoryview(slots[job.slot]), setup.rows, size, columns)
        if job.opening is not None:
            source.take_in(job.opening)
        made, error = None, flaw
        try:
            if maker is not None:
                made = maker.make(job.place, images, labels, job.rows, job.as_pixels, others)
        except TarnError as problem:
            error = str(problem)
        now = Counter(source.counters)
        send(connection, Done(job.ticket, job.piece, made, error, dict(now - before)))
        note(setup, IDLE)
        before = now


def send(connection: Connection, done: Done) -> None:
    """What cannot be packed is told as an error of the batch; nothing of it was sent by then."""
    try:
        raw = ForkingPickler.dumps(done)
    except Exception as error:  # whatever a value of somebody's raises
        told = f"a field of the batch cannot be sent to the training process ({type(error).__name__}: {error})"
        raw = ForkingPickler.dumps(done._replace(made=None, error=f"{told}: give it plain values, not nested deep."))
    connection.send_bytes(raw)


def note(setup: WorkerSetup, ticket: int) -> None:
    """What it is at, for the parent to read where it has died."""
    os.pwrite(setup.tickets_file, TICKET.pack(ticket), TICKET.size * setup.number)


def noted(tickets_file: int, number: int) -> int:
    """The ticket of the batch that a process is at, or IDLE."""
    told = os.pread(tickets_file, TICKET.size, TICKET.size * number)
    return int(TICKET.unpack(told)[0]) if len(told) == TICKET.size else IDLE
