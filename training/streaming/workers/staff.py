"""The decoding processes of a pool, as it sees them: they are given jobs, tell what is done, and may end."""

import select
from collections.abc import Sequence
from dataclasses import replace
from itertools import zip_longest

from tarn.training.streaming.plan import StreamPlan
from tarn.training.streaming.processes.crew import Crew
from tarn.training.streaming.remote.traffic import Traffic
from tarn.training.streaming.sources import Opening
from tarn.training.streaming.workers.queue import Job, JobQueue
from tarn.training.streaming.workers.slots import Slots
from tarn.training.streaming.workers.worker import Done, WorkerSetup, noted


class EndedError(Exception):
    """A process is gone. number: which one; ending: how, in words; ticket: of the batch that it was at, if of any."""

    def __init__(self, number: int, ending: str, ticket: int) -> None:
        super().__init__(number, ending, ticket)
        self.number, self.ending, self.ticket = number, ending, ticket


class Staff:
    """queue: jobs that nobody has taken yet."""

    def __init__(self, plan: StreamPlan, crew: Crew, traffic: Traffic | None, slots: Slots) -> None:
        self.children, self.tickets_file = crew.workers, crew.tickets_file
        self.queue, self.is_started = JobQueue(crew.queue_reader, crew.queue_writer), False
        self.poll = select.poll()
        self.numbers = {child.connection.fileno(): number for number, child in enumerate(self.children)}
        for number, child in enumerate(self.children, 1):
            self.poll.register(child.connection, select.POLLIN)
            setup = WorkerSetup(
                plan=plan,
                slots_file=slots.file,
                slot_bytes=slots.bytes,
                rows=plan.rows,
                number=number,
                processes=len(self.children) + 2,
                queue_file=crew.queue_reader,
                tickets_file=crew.tickets_file,
                traffic_file=traffic.file if traffic else None,
            )
            child.send(setup)

    def give(self, jobs: Sequence[Job], opening: Opening | None) -> None:
        """All of a batch. Of the very first one every process is handed its piece, with what was read of it."""
        if self.is_started:
            self.queue.put(jobs)
            return
        self.is_started = True
        if opening is not None:
            jobs = [replace(job, opening=opening.part(*job.rows)) for job in jobs]
        for child, job in zip_longest(self.children, jobs):
            child.send(job)

    def hear(self, seconds: float) -> list[Done]:
        """What was done, a word of each process; waits so long for the first. Raises EndedError."""
        told = self.poll.poll(seconds * 1000)
        if not told and seconds:
            self.look_for_the_dead()
        return [self.word_of(self.numbers[file]) for file, _ in told]

    def look_for_the_dead(self) -> None:
        """A connection tells of its process's end, unless a fork that a hook made holds it, too."""
        for number, child in enumerate(self.children):
            if child.has_ended and not child.connection.poll():
                raise EndedError(number, child.ending(), noted(self.tickets_file, number + 1))

    def word_of(self, number: int) -> Done:
        child = self.children[number]
        try:
            done: Done = child.connection.recv()
        except (EOFError, ConnectionError) as error:
            raise EndedError(number, child.ending(), noted(self.tickets_file, number + 1)) from error
        return done
