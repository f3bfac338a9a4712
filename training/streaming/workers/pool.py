"""Decoding processes that outlive epochs: places in, batches out, in the order of the places.

A batch's rows are dealt out in pieces, the earliest batch's first, so that all processes work on what is wanted next.

A batch lies in memory shared with the process that made it, in a slot (slots.py); its tensors are that memory itself. A
slot is used again when the last of them is gone, so nobody has to give a batch back, and whoever keeps batches may.
"""

import itertools
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing.connection import wait

import numpy as np
from numpy.typing import NDArray

from tarn.sharding.errors import TarnError
from tarn.training.streaming.plan import StreamPlan
from tarn.training.streaming.processes.crew import Crew
from tarn.training.streaming.remote.traffic import Traffic
from tarn.training.streaming.sources import Opening
from tarn.training.streaming.workers.assembly import Assembly, pieces
from tarn.training.streaming.workers.batches import Made, Place
from tarn.training.streaming.workers.slots import Registrar, Slots
from tarn.training.streaming.workers.worker import Done, Job, WorkerSetup

JOBS = 2  # that a process has at a time: one that it works on, one that waits
LONGEST_JOB = 600.0  # s without a word from any process, beyond the patience of reading

Look = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Lent:
    """A batch. images: n x H x W x 3 and labels: n, in memory that is used again when both are gone.

    remake(rows): makes those rows again, as pixels, into the same memory. Raises TarnError.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    made: Made
    remake: Callable[[Sequence[int]], Made]


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
        self.slots = Slots(crew.slots_file, plan.rows, plan.image_size, registrar)
        self.ahead = batches_ahead(plan.prefetch, self.slots.bytes, len(self.children))
        self.tickets = 0
        self.round = 0
        self.limit = plan.access.patience.deadline * 2 + LONGEST_JOB
        self.assemblies: dict[int, Assembly] = {}
        self.early: deque[tuple[Place, int]] = deque()  # with tickets: begun for an iteration that is yet to come
        self.waiting: deque[Job] = deque()
        self.loads: dict[int, list[Job]] = {number: [] for number in range(len(self.children))}
        for number, child in enumerate(self.children, 1):
            setup = WorkerSetup(
                plan=plan,
                slots_file=self.slots.file,
                slot_bytes=self.slots.bytes,
                rows=plan.rows,
                number=number,
                processes=len(self.children) + 2,
                traffic_file=traffic.file if traffic else None,
            )
            child.send(setup)

    def batches(
        self, places: Iterable[Place], look: Look, opening: Opening | None = None, following: Iterable[Place] = ()
    ) -> Iterator[Lent]:
        """Raises TarnError for what a process could not read, or where one ended.

        look: called while waiting. opening: of the first place. following: what the next iteration will begin with,
        in all likelihood; no process idles where one ends and the next begins.
        """
        self.round += 1
        this_round, coming, later = self.round, iter(places), iter(following)
        wanted: deque[int] = deque()  # tickets, in the order of the places
        try:
            while True:
                self.crew.owner.check()
                for place in itertools.islice(coming, self.ahead - len(wanted)):
                    wanted.append(self.begin_unless_early(place, opening))
                    opening = None
                for place in itertools.islice(later, max(0, self.ahead - len(wanted) - len(self.early))):
                    self.early.append((place, self.begin(place, None)))
                self.hand_out()
                if not wanted:
                    return
                first = self.assemblies[wanted[0]]
                self.collect(first, look)
                if first.error:
                    raise TarnError(first.error)
                del self.assemblies[wanted.popleft()]
                yield self.delivered(first, look)
                if this_round != self.round:
                    raise TarnError("a loader is iterated twice at a time: make a second loader for that.")
        finally:
            self.abandon(wanted)

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
        for piece, rows in enumerate(assembly.pieces):
            given = opening.part(*rows) if opening else None
            self.waiting.append(Job(ticket, piece, assembly.slot, place, rows, given))
        return ticket

    def hand_out(self) -> None:
        """Every process has JOBS jobs, as long as there are any."""
        while self.waiting:
            number = min(self.loads, key=lambda number: len(self.loads[number]))
            if len(self.loads[number]) == JOBS:
                return
            job = self.waiting.popleft()
            self.loads[number].append(replace(job, opening=None))
            self.assemblies[job.ticket].working += 1
            try:
                self.children[number].connection.send(job)
            except ConnectionError as error:
                raise TarnError(self.obituary(number)) from error

    def abandon(self, tickets: Iterable[int]) -> None:
        """Batches that nobody wants any more: what nobody works on is forgotten, other slots are free when it ends."""
        gone = set(tickets)
        self.waiting = deque(job for job in self.waiting if job.ticket not in gone)
        for ticket in gone:
            assembly = self.assemblies[ticket]
            assembly.wanted = False
            self.release_abandoned(ticket, assembly)

    def release_abandoned(self, ticket: int, assembly: Assembly) -> None:
        if not assembly.wanted and not assembly.working:
            self.slots.free.append(assembly.slot)
            del self.assemblies[ticket]

    def collect(self, assembly: Assembly, look: Look) -> None:
        """Until this batch is complete; processes get further jobs meanwhile."""
        deadline = time.monotonic() + self.limit
        connections = {child.connection: number for number, child in enumerate(self.children)}
        while not assembly.complete:
            for ready in wait(list(connections), timeout=0.5):
                self.receive(connections[ready])  # type: ignore[index]
                deadline = time.monotonic() + self.limit
            self.hand_out()
            look()
            if time.monotonic() > deadline:
                raise TarnError(f"the decoding processes gave no sign of life for {self.limit:.0f} s: start again.")

    def receive(self, number: int) -> None:
        try:
            done: Done = self.children[number].connection.recv()
        except (EOFError, ConnectionError) as error:
            raise TarnError(self.obituary(number)) from error
        self.loads[number].pop(0)
        self.on_done(done)
        assembly = self.assemblies[done.ticket]
        assembly.working -= 1
        if done.made is not None:
            assembly.made[done.piece] = done.made
        elif not assembly.error:
            assembly.error = done.error
            self.waiting = deque(job for job in self.waiting if job.ticket != done.ticket)
        self.release_abandoned(done.ticket, assembly)

    def delivered(self, assembly: Assembly, look: Look) -> Lent:
        images, labels = self.slots.lend(assembly.slot, self.plan.size_of(assembly.place[0]))
        made = assembly.whole()
        again = partial(self.remake, assembly.place, assembly.slot, look)
        return Lent(images[: made.samples], labels[: made.samples], made, again)

    def remake(self, place: Place, slot: int, look: Look, rows: Sequence[int]) -> Made:
        """Rows of a batch that is lent out, before all that waits. Raises TarnError."""
        ticket, self.tickets = self.tickets, self.tickets + 1
        self.assemblies[ticket] = assembly = Assembly(place, slot, [(row, row + 1) for row in rows])
        jobs = [Job(ticket, piece, slot, place, row, as_pixels=True) for piece, row in enumerate(assembly.pieces)]
        self.waiting.extendleft(reversed(jobs))
        self.hand_out()
        self.collect(assembly, look)
        del self.assemblies[ticket]
        if assembly.error:
            raise TarnError(assembly.error)
        return assembly.whole()

    def obituary(self, number: int) -> str:
        jobs = self.loads[number]
        at = f" at the batch of epoch {jobs[0].place[0]}, step {jobs[0].place[1]}" if jobs else ""
        return (
            f"decoding process {number} {self.children[number].ending()}{at}: start again, the run goes on where it "
            "stood; with less memory at hand, lower data.prefetch or data.workers."
        )


def batches_ahead(prefetch: int, batch: int, processes: int) -> int:
    """Batches in the making at a time, that wanted next included: as the bytes allow, but at least two."""
    return max(2, min(prefetch // batch, JOBS * processes))
