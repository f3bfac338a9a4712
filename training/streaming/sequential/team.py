"""The streams of one rank together: a sample of each in turn, whichever process is the faster."""

import weakref
from collections import deque
from collections.abc import Iterator
from multiprocessing.connection import wait
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tarn.sharding.errors import TarnError
from tarn.training.streaming.processes.owner import Owner
from tarn.training.streaming.processes.process import Child
from tarn.training.streaming.sequential.plan import SequentialPlan
from tarn.training.streaming.sequential.stream import Chunk, Pull, SampleStream

AHEAD = 2  # pulls that a stream has at a time: one that it works on, one that waits

Row = tuple[NDArray[np.uint8], int, str]  # H x W x 3, label, key


class Team(Protocol):
    """Streams by number. ticket: of the present reading."""

    ticket: int
    owner: Owner

    def begin(self) -> int:
        """A new reading's ticket. Whatever was asked before is forgotten."""
        ...

    def ask(self, number: int, pull: Pull) -> None: ...

    def answer(self, number: int) -> Chunk:
        """To the stream's oldest pull. Raises TarnError for any stream that could not go on."""
        ...


class Solo:
    """One stream, in this process."""

    def __init__(self, plan: SequentialPlan) -> None:
        self.stream, self.ticket, self.owner = SampleStream(plan, 0), 0, Owner()
        self.asked: deque[Pull] = deque()

    def begin(self) -> int:
        self.asked.clear()
        self.ticket += 1
        return self.ticket

    def ask(self, number: int, pull: Pull) -> None:
        self.asked.append(pull)

    def answer(self, number: int) -> Chunk:
        return self.stream.chunk(self.asked.popleft())

    def close(self) -> None:
        """Lets go of the open tar."""
        self.owner.is_open = False
        self.stream.samples = iter(())


class Processes:
    """Each stream in a process of its own."""

    def __init__(self, plan: SequentialPlan) -> None:
        task, self.ticket, self.owner = "tarn.training.streaming.sequential.process:serve", 0, Owner()
        self.children = [Child(task, ()) for _ in range(plan.streams)]
        for number, child in enumerate(self.children):
            child.send((plan, number))
        self.owed = [0] * plan.streams
        self.received: list[deque[Chunk]] = [deque() for _ in self.children]
        self.close = weakref.finalize(self, close_all, self.owner, self.children)

    def begin(self) -> int:
        self.ticket += 1
        for chunks in self.received:
            chunks.clear()
        return self.ticket

    def ask(self, number: int, pull: Pull) -> None:
        self.children[number].send(pull)
        self.owed[number] += 1

    def answer(self, number: int) -> Chunk:
        while not self.received[number]:
            owing = {self.children[each].connection: each for each, count in enumerate(self.owed) if count}
            for ready in wait(list(owing)):  # of all streams: an error of another one is told at once
                self.receive(owing[ready])  # type: ignore[index]
        return self.received[number].popleft()

    def receive(self, number: int) -> None:
        try:
            chunk: Chunk = self.children[number].connection.recv()
        except (EOFError, OSError) as error:
            raise TarnError(self.obituary(number)) from error
        self.owed[number] -= 1
        if chunk.ticket != self.ticket:
            return  # of a reading that was left
        if chunk.error:
            raise TarnError(chunk.error)
        self.received[number].append(chunk)

    def obituary(self, number: int) -> str:
        return (
            f"reading process {number} {self.children[number].ending()}: start again, the run goes on where it stood; "
            "with less memory at hand, lower num_workers or shuffle_buffer."
        )


def close_all(owner: Owner, children: list[Child]) -> None:
    """Not in a fork, whose end is none of the loader's."""
    if not owner.is_here:
        return
    owner.is_open = False
    for child in children:
        child.close()


class Lap:
    """One reading of all tars of the rank: a sample of each stream in turn; streams that end leave the turn."""

    def __init__(self, team: Team, plan: SequentialPlan, epoch: int, number: int) -> None:
        team.owner.check()
        self.team, self.plan, self.epoch, self.number = team, plan, epoch, number
        self.ticket = team.begin()
        self.turn = deque(range(plan.streams))
        self.found = 0

    def ask(self, stream: int, skip: int, count: int) -> None:
        self.team.ask(stream, Pull(self.ticket, self.epoch, self.number, skip, count))

    def answer(self, stream: int) -> Chunk:
        """Raises TarnError for any stream that could not go on, and where another reading has begun."""
        self.team.owner.check()
        if self.ticket != self.team.ticket:
            raise TarnError("a loader is iterated twice at a time: make a second loader for that.")
        return self.team.answer(stream)

    def skip(self, count: int) -> None:
        """Throws away the next samples, undecoded; fewer where the lap has fewer.

        While none ends, all streams skip as many, at once; what is left over falls to the first ones in turn.
        """
        while self.found < count and self.turn:
            left = count - self.found
            each, asked = max(1, left // len(self.turn)), list(self.turn)[:left]
            for stream in asked:
                self.ask(stream, each, 0)
            for stream in asked:
                chunk = self.answer(stream)
                self.found += chunk.skipped
                self.turn.popleft()
                if not chunk.ended:
                    self.turn.append(stream)

    def __iter__(self) -> Iterator[Row]:
        """Raises TarnError for whatever goes wrong in a stream."""
        waiting: dict[int, deque[Row]] = {stream: deque() for stream in self.turn}
        ended: set[int] = set()
        for stream in list(self.turn) * AHEAD:
            self.ask(stream, 0, self.plan.chunk)
        while self.turn:
            stream = self.turn.popleft()
            rows = waiting[stream]
            while not rows and stream not in ended:
                chunk = self.answer(stream)
                rows.extend(zip(chunk.images, chunk.labels, chunk.keys, strict=True))
                if chunk.ended:
                    ended.add(stream)
                else:
                    self.ask(stream, 0, self.plan.chunk)
            if rows:
                self.turn.append(stream)
                self.found += 1
                yield rows.popleft()
