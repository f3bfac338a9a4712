"""Decoding processes that outlive epochs: places in, batches out, in the order of the places.

A batch's rows are dealt out in pieces, the earliest batch's first, so that all processes work on what is wanted next.
They help themselves from a queue (queue.py), so they go on while the main process is busy.

A batch lies in memory shared with the process that made it, in a slot (slots.py); its tensors are that memory itself. A
slot is used again when the last of them is gone, so nobody has to give a batch back, and whoever keeps batches may.
"""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tarn.sharding.errors import TarnError
from tarn.training.streaming.plan import StreamPlan
from tarn.training.streaming.processes.crew import Crew
from tarn.training.streaming.remote.traffic import Traffic
from tarn.training.streaming.sources import Opening
from tarn.training.streaming.workers.assembly import Assembly, pieces
from tarn.training.streaming.workers.batches import Made, Place
from tarn.training.streaming.workers.queue import Job
from tarn.training.streaming.workers.slots import Registrar, Slots
from tarn.training.streaming.workers.staff import EndedError, Staff
from tarn.training.streaming.workers.worker import Done

BATCHES = 2  # made ahead for each process, where the memory for it is granted
GROWTH = (
    2  # batches begun for one that is given out: its own place is taken again, and one more until `ahead` are there
)
WAIT = 0.5  # s for a process's word, before looking elsewhere
LONGEST_JOB = 600.0  # s without a word from any process, beyond the patience of reading

Look = Callable[[], None]
Begin = Iterator[bool]  # begins a batch more with every turn, where there is one and room for it; whether it did


@dataclass(frozen=True, slots=True)
class Lent:
    """A batch. images: n x H x W x 3, labels: n, and columns by field, in memory that is used again when all are gone.

    remake(rows): makes those rows again, as pixels, into the same memory. Raises TarnError.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    made: Made
    remake: Callable[[Sequence[int]], Made]
    columns: Mapping[str, NDArray[Any]] = field(default_factory=dict)


class WorkerPool:
    """Made for one plan. on_done: called with every finished job, for counters. registrar: locks slots' pages."""

    def __init__(
        self,
        plan: StreamPlan,
        crew: Crew,
        traffic: Traffic | None,
        on_done: Callable[[Done], None],
        registrar: Registrar | None = None,
    ) -> None:
        self.plan, self.on_done = plan, on_done
        self.crew, self.children = crew, crew.workers
        columns = plan.content.columns(plan.largest)
        self.slots = Slots(crew.slots_file, plan.rows, plan.largest, registrar, columns)
        self.ahead = batches_ahead(plan.prefetch, self.slots.bytes, len(self.children))
        self.tickets = 0
        self.round = 0
        self.limit = plan.access.patience.deadline * 2 + LONGEST_JOB
        self.assemblies: dict[int, Assembly] = {}
        self.wanted: deque[int] = deque()  # tickets of the iteration under way, in the order of the places
        self.early: deque[tuple[Place, int]] = deque()  # with tickets: begun for an iteration that is yet to come
        self.staff = Staff(plan, crew, traffic, self.slots)

    def batches(
        self, places: Iterable[Place], look: Look, opening: Opening | None = None, following: Iterable[Place] = ()
    ) -> Iterator[Lent]:
        """Raises TarnError for what a process could not read, or where one ended.

        look: called while waiting. opening: of the first place. following: what the next iteration will begin with,
        in all likelihood; no process idles where one ends and the next begins.
        """
        self.round += 1
        this_round, wanted = self.round, deque[int]()
        self.wanted = wanted
        begin = self.beginning(wanted, places, opening, following)
        try:
            while True:
                self.crew.owner.check()
                if not wanted:
                    next(begin)
                if not wanted:
                    return
                first = self.assemblies[wanted[0]]
                self.collect(first, look, begin)
                if first.error:
                    raise TarnError(first.error)
                del self.assemblies[wanted.popleft()]
                for _ in range(GROWTH):  # what processes make while the caller is busy with this batch
                    next(begin)
                yield self.delivered(first, look)
                if this_round != self.round:
                    raise TarnError("a loader is iterated twice at a time: make a second loader for that.")
        finally:
            self.abandon(wanted)

    def is_ready(self) -> bool:
        """Whether the next batch of the iteration under way can be had without waiting for it."""
        if not self.wanted or not self.crew.owner.may_use:
            return False
        first = self.assemblies[self.wanted[0]]
        while not first.complete and self.hear(0):
            pass
        return first.complete

    def beginning(
        self, wanted: deque[int], places: Iterable[Place], opening: Opening | None, following: Iterable[Place]
    ) -> Begin:
        """Never more than `ahead` are in the making. One at a time, for its memory is locked, which takes a while; what
        was begun early has its own, and costs no turn."""
        for place in places:
            while len(wanted) >= self.ahead:
                yield False
            tickets = self.tickets
            wanted.append(self.begin_unless_early(place, opening))
            opening = None
            if self.tickets > tickets:
                yield True
        for place in following:
            while len(wanted) + len(self.early) >= self.ahead:
                yield False
            self.early.append((place, self.begin(place, None)))
            yield True
        while True:
            yield False

    @property
    def bytes_ahead(self) -> int:
        """The most that batches in the making take."""
        return self.ahead * self.slots.bytes

    def begin_unless_early(self, place: Place, opening: Opening | None) -> int:
        """The ticket. Where another place was expected, all that was begun early is dropped."""
        if self.early and self.early[0][0] == place:
            return self.early.popleft()[1]
        if self.early:
            self.abandon(ticket for _, ticket in self.early)
            self.early.clear()
        return self.begin(place, opening)

    def begin(self, place: Place, opening: Opening | None) -> int:
        ticket, self.tickets = self.tickets, self.tickets + 1
        assembly = Assembly(place, self.slots.take(), pieces(self.plan.rows, len(self.children)))
        self.assemblies[ticket] = assembly
        jobs = [Job(ticket, piece, assembly.slot, place, rows) for piece, rows in enumerate(assembly.pieces)]
        assembly.working = len(jobs)
        self.staff.give(jobs, opening)
        return ticket

    def abandon(self, tickets: Iterable[int]) -> None:
        """Batches that nobody wants any more: what nobody works on is forgotten, other slots are free when it ends."""
        gone = set(tickets)
        if not gone or not self.crew.owner.may_use:
            return
        self.withdraw(gone)
        for ticket in gone:
            assembly = self.assemblies[ticket]
            assembly.wanted = False
            self.release_abandoned(ticket, assembly)

    def withdraw(self, tickets: set[int]) -> None:
        for job in self.staff.queue.withdraw(lambda job: job.ticket in tickets):
            self.assemblies[job.ticket].working -= 1

    def release_abandoned(self, ticket: int, assembly: Assembly) -> None:
        if not assembly.wanted and not assembly.working:
            self.slots.free.append(assembly.slot)
            del self.assemblies[ticket]

    def collect(self, assembly: Assembly, look: Look, begin: Begin | None = None) -> None:
        """Until this batch is complete; more are begun meanwhile."""
        deadline = time.monotonic() + self.limit
        while not assembly.complete:
            self.staff.queue.fill()
            busy = begin is not None and next(begin)
            if self.hear(0 if busy else WAIT):
                deadline = time.monotonic() + self.limit
            look()
            if time.monotonic() > deadline:
                raise TarnError(f"the decoding processes gave no sign of life for {self.limit:.0f} s: start again.")

    def hear(self, seconds: float) -> bool:
        """Takes in what processes have done, waiting so long for the first word. Whether there was any."""
        try:
            told = self.staff.hear(seconds)
        except EndedError as end:
            raise TarnError(self.obituary(end)) from end
        for done in told:
            self.receive(done)
        return bool(told)

    def receive(self, done: Done) -> None:
        self.on_done(done)
        assembly = self.assemblies[done.ticket]
        assembly.working -= 1
        if done.made is not None:
            assembly.made[done.piece] = done.made
        elif not assembly.error:
            assembly.error = done.error
            self.withdraw({done.ticket})
        self.release_abandoned(done.ticket, assembly)

    def delivered(self, assembly: Assembly, look: Look) -> Lent:
        size = self.plan.size_of(assembly.place[0])
        images, labels, columns = self.slots.lend(assembly.slot, size, self.plan.content.columns(size))
        made = assembly.whole()
        again = partial(self.remake, assembly.place, assembly.slot, look)
        others = {name: column[: made.samples] for name, column in columns.items()}
        return Lent(images[: made.samples], labels[: made.samples], made, again, others)

    def remake(self, place: Place, slot: int, look: Look, rows: Sequence[int]) -> Made:
        """Rows of a batch that is lent out, before all that waits. Raises TarnError."""
        ticket, self.tickets = self.tickets, self.tickets + 1
        self.assemblies[ticket] = assembly = Assembly(place, slot, [(row, row + 1) for row in rows])
        assembly.working = len(rows)
        self.staff.queue.put_first(
            Job(ticket, piece, slot, place, row, as_pixels=True) for piece, row in enumerate(assembly.pieces)
        )
        self.collect(assembly, look)
        del self.assemblies[ticket]
        if assembly.error:
            raise TarnError(assembly.error)
        return assembly.whole()

    def obituary(self, end: EndedError) -> str:
        assembly = self.assemblies.get(end.ticket)
        at = f" at the batch of epoch {assembly.place[0]}, step {assembly.place[1]}" if assembly else ""
        return (
            f"decoding process {end.number} {end.ending}{at}: start again, the run goes on where it stood; with less "
            "memory at hand, lower data.prefetch or data.workers."
        )


def batches_ahead(prefetch: int, batch: int, processes: int) -> int:
    """Batches in the making at a time, that wanted next included: as the bytes allow, but at least two."""
    return max(2, min(prefetch // batch, BATCHES * processes))
