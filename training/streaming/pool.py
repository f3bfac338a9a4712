"""Decoding processes that outlive epochs: places in, batches out, in the order of the places.

A batch lies in memory shared with the process that made it, in a slot; its tensors are that memory itself. A slot is
used again when the last of them is gone, so nobody has to give a batch back, and whoever keeps batches may.
"""

import itertools
import mmap
import os
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from multiprocessing.connection import wait

import numpy as np
from numpy.typing import NDArray

from sharding.errors import TarnError
from training.streaming.batches import Made, Place, slot_arrays, slot_layout
from training.streaming.crew import Crew
from training.streaming.plan import StreamPlan
from training.streaming.shared import mapped, page_aligned
from training.streaming.sources import Opening
from training.streaming.traffic import Traffic
from training.streaming.worker import Done, Job, WorkerSetup

JOBS = 2  # that a process has at a time: one that it works on, one that waits
LONGEST_JOB = 600.0  # s without a word from any process, beyond the patience of reading

Arrays = tuple[NDArray[np.uint8], NDArray[np.int64], Made]


class WorkerPool:
    """Made for one plan. on_done: called with every finished job, for counters."""

    def __init__(self, plan: StreamPlan, crew: Crew, traffic: Traffic | None, on_done: Callable[[Done], None]) -> None:
        self.plan, self.on_done = plan, on_done
        self.crew, self.children, self.slots_file = crew, crew.workers, crew.slots_file
        self.rows = plan.rows
        self.slot_bytes = page_aligned(sum(slot_layout(self.rows, plan.image_size)))
        self.slots: list[mmap.mmap] = []
        self.free: deque[int] = deque()
        self.tickets = 0
        self.round = 0
        self.limit = plan.access.patience.deadline * 2 + LONGEST_JOB
        self.loads: dict[int, list[Job]] = {number: [] for number in range(len(self.children))}
        for number, child in enumerate(self.children, 1):
            setup = WorkerSetup(
                plan=plan,
                slots_file=self.slots_file,
                slot_bytes=self.slot_bytes,
                rows=self.rows,
                number=number,
                processes=len(self.children) + 2,
                traffic_file=traffic.file if traffic else None,
            )
            child.send(setup)

    def batches(
        self, places: Iterable[Place], look: Callable[[], None], opening: Opening | None = None
    ) -> Iterator[Arrays]:
        """Raises TarnError for what a process could not read, or where one ended.

        look: called while waiting. opening: of the first place.
        """
        self.round += 1
        this_round, waiting = self.round, iter(places)
        wanted: deque[int] = deque()  # tickets, in the order of the places
        finished: dict[int, tuple[int, Done]] = {}
        try:
            while True:
                for place in itertools.islice(waiting, JOBS * len(self.children) - len(wanted)):
                    wanted.append(self.dispatch(place, opening))
                    opening = None
                if not wanted:
                    return
                self.collect(finished, wanted, look)
                slot, done = finished.pop(wanted.popleft())
                if done.made is None:
                    self.free.append(slot)
                    raise TarnError(done.error)
                yield self.delivered(slot, done.made)
                if this_round != self.round:
                    raise TarnError("a loader is iterated twice at a time: make a second loader for that.")
        finally:
            self.free.extend(slot for slot, _ in finished.values())

    def dispatch(self, place: Place, opening: Opening | None) -> int:
        """To the process that has the least to do."""
        number = min(self.loads, key=lambda number: len(self.loads[number]))
        job = Job(self.tickets, self.take_slot(), place, opening)
        self.tickets += 1
        self.loads[number].append(replace(job, opening=None))
        try:
            self.children[number].connection.send(job)
        except ConnectionError as error:
            raise TarnError(self.obituary(number)) from error
        return job.ticket

    def take_slot(self) -> int:
        if self.free:
            return self.free.popleft()
        slot = len(self.slots)
        os.ftruncate(self.slots_file, (slot + 1) * self.slot_bytes)
        self.slots.append(mapped(self.slots_file, self.slot_bytes, slot * self.slot_bytes))
        return slot

    def collect(self, finished: dict[int, tuple[int, Done]], wanted: deque[int], look: Callable[[], None]) -> None:
        """Until the first wanted ticket is finished. Results that nobody wants any more free their slots."""
        deadline = time.monotonic() + self.limit
        connections = {child.connection: number for number, child in enumerate(self.children)}
        while wanted[0] not in finished:
            for ready in wait(list(connections), timeout=0.5):
                number = connections[ready]  # type: ignore[index]
                self.receive(number, finished, wanted)
                deadline = time.monotonic() + self.limit
            look()
            if time.monotonic() > deadline:
                raise TarnError(f"the decoding processes gave no sign of life for {self.limit:.0f} s: start again.")

    def receive(self, number: int, finished: dict[int, tuple[int, Done]], wanted: deque[int]) -> None:
        try:
            done: Done = self.children[number].connection.recv()
        except (EOFError, ConnectionError) as error:
            raise TarnError(self.obituary(number)) from error
        job = self.loads[number].pop(0)
        self.on_done(done)
        if job.ticket in wanted:
            finished[job.ticket] = (job.slot, done)
        else:
            self.free.append(job.slot)

    def delivered(self, slot: int, made: Made) -> Arrays:
        """Views of the slot; it is free again when both are gone."""
        images, labels = slot_arrays(memoryview(self.slots[slot]), self.rows, self.plan.image_size)
        weakref.finalize(images.base, self.free.append, slot).atexit = False
        return images[: made.samples], labels[: made.samples], made

    def obituary(self, number: int) -> str:
        jobs = self.loads[number]
        at = f" at the batch of epoch {jobs[0].place[0]}, step {jobs[0].place[1]}" if jobs else ""
        return (
            f"decoding process {number} {self.children[number].ending()}{at}: start again, the run goes on where it "
            "stood; with less memory at hand, lower data.workers."
        )
