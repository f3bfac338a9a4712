"""A decoding process, started by the loader (processes/process.py): it makes the batches that it is told."""

import mmap
import time
from collections import Counter
from dataclasses import dataclass
from multiprocessing.connection import Connection

from tarn.sharding.errors import TarnError
from tarn.training.streaming.plan import StreamPlan
from tarn.training.streaming.processes.shared import mapped
from tarn.training.streaming.remote.traffic import Traffic
from tarn.training.streaming.sources import Opening
from tarn.training.streaming.workers.batches import BatchMaker, Made, Place, Rows, build_source, slot_arrays

WORKER = "tarn.training.streaming.workers.worker:work"  # the task of its process


@dataclass(frozen=True, slots=True)
class Job:
    """Some rows of a batch. ticket: the batch's number; piece: their number in it; slot: where the batch goes; opening:
    what is here of them already. as_pixels: no JPEG is left to a device.
    """

    ticket: int
    piece: int
    slot: int
    place: Place
    rows: Rows
    opening: Opening | None = None
    as_pixels: bool = False


@dataclass(frozen=True, slots=True)
class Done:
    """made, or the sentence of an error. counters: since the job before. seconds: that it took."""

    ticket: int
    piece: int
    made: Made | None
    error: str
    counters: dict[str, int]
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSetup:
    """Descriptors are the parent's own numbers: it passes them on as they are. number: in the traffic, from 1."""

    plan: StreamPlan
    slots_file: int
    slot_bytes: int
    rows: int
    number: int
    processes: int
    traffic_file: int | None


def work(connection: Connection) -> None:
    """First the setup, then jobs."""
    setup: WorkerSetup = connection.recv()
    traffic = None
    if setup.traffic_file is not None:
        traffic = Traffic(setup.plan, setup.processes, setup.traffic_file)
    source = build_source(setup.plan, traffic, setup.number)
    maker = BatchMaker(setup.plan, source)
    slots: dict[int, mmap.mmap] = {}
    before: Counter[str] = Counter()
    while True:
        job: Job = connection.recv()
        started = time.perf_counter()
        if job.slot not in slots:
            slots[job.slot] = mapped(setup.slots_file, setup.slot_bytes, job.slot * setup.slot_bytes)
        side = setup.plan.size_of(job.place[0])
        images, labels = slot_arrays(memoryview(slots[job.slot]), setup.rows, side)
        if job.opening is not None:
            source.take_in(job.opening)
        made, error = None, ""
        try:
            made = maker.make(job.place, images, labels, job.rows, job.as_pixels)
        except TarnError as problem:
            error = str(problem)
        now = Counter(source.counters)
        connection.send(Done(job.ticket, job.piece, made, error, dict(now - before), time.perf_counter() - started))
        before = now
