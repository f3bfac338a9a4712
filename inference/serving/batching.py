"""Pictures of many requests, scored together: as many as wait when the network is free, so that nobody waits for a
batch to fill, and the busier the service, the larger its batches.

A network on a processor also waits for pictures that are being prepared: it would only take the cores from them, and
have two small batches in place of a large one. It never waits for longer than those that are there will take it.
"""

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import ParamSpec, TypeVar

import numpy as np
from numpy.typing import NDArray

from tarn.inference.prediction import Guess

Guesses = tuple[Guess, ...]
Score = Callable[[NDArray[np.uint8]], list[Guesses]]

Given = ParamSpec("Given")
Result = TypeVar("Result")

MEMORY = 0.8  # how much of the rate that was known the next batch leaves


@dataclass(frozen=True, slots=True)
class Waiting:
    score: Score
    pixels: NDArray[np.uint8]
    answer: "asyncio.Future[Guesses]"


class Batcher:
    """most: pictures scored at a time. seen: told of each batch, its size and seconds. gathers: whether it waits for
    pictures that are being prepared. To be used in one event loop, where run() runs beside all else."""

    def __init__(
        self,
        most: int,
        seen: Callable[[int, float], object] = lambda size, seconds: None,
        gathers: bool = False,
    ) -> None:
        self.most, self.seen, self.gathers = most, seen, gathers
        self.waiting: deque[Waiting] = deque()
        self.preparing = 0
        self.come = asyncio.Event()
        self.network = ThreadPoolExecutor(1, "tarn-network")
        self.rate: float | None = None  # pictures a second while the network works

    @contextmanager
    def expecting(self) -> Iterator[None]:
        """A picture that is being prepared, and will ask to be scored."""
        self.preparing += 1
        try:
            yield
        finally:
            self.preparing -= 1
            self.come.set()

    async def score(self, score: Score, pixels: NDArray[np.uint8]) -> Guesses:
        """H x W x 3, by the network that they were made for: what it raises is raised to all of the batch."""
        answer: asyncio.Future[Guesses] = asyncio.get_running_loop().create_future()
        self.waiting.append(Waiting(score, pixels, answer))
        self.come.set()
        return await answer

    async def alone(self, work: Callable[Given, Result], *given: Given.args, **named: Given.kwargs) -> Result:
        """What else the network is asked, between two batches."""
        call = partial(work, *given, **named)
        return await asyncio.get_running_loop().run_in_executor(self.network, call)

    async def run(self) -> None:
        """Until it is cancelled."""
        try:
            while True:
                await self.somebody()
                await self.those_at_hand()
                if batch := self.take():
                    await self.finish(batch)
        finally:
            self.network.shutdown()

    async def somebody(self) -> None:
        while not self.waiting:
            self.come.clear()
            await self.come.wait()

    async def those_at_hand(self) -> None:
        """Those being prepared, as long as that is worth it."""
        started = time.monotonic()
        while self.gathers and self.rate and self.preparing and len(self.waiting) < self.most:
            self.come.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(started + len(self.waiting) / self.rate - time.monotonic()):
                    await self.come.wait()
                continue
            return

    async def finish(self, batch: list[Waiting]) -> None:
        started = time.perf_counter()
        try:
            found = await self.alone(scored, batch)
        except Exception as error:  # of one batch: the service goes on
            for it in batch:
                if not it.answer.done():
                    it.answer.set_exception(error)
            return
        for it, guesses in zip(batch, found, strict=True):
            if not it.answer.done():
                it.answer.set_result(guesses)
        self.note(len(batch), time.perf_counter() - started)

    def take(self) -> list[Waiting]:
        """Those of one network, in their order; whoever asked and is gone is left out."""
        batch: list[Waiting] = []
        while self.waiting and len(batch) < self.most:
            if self.waiting[0].answer.done():
                self.waiting.popleft()
                continue
            if batch and self.waiting[0].score != batch[0].score:
                break
            batch.append(self.waiting.popleft())
        return batch

    def note(self, size: int, seconds: float) -> None:
        now = size / max(seconds, 1e-6)
        self.rate = now if self.rate is None else MEMORY * self.rate + (1 - MEMORY) * now
        self.seen(size, seconds)

    def seconds_for(self, pictures: int) -> int:
        """About how long so many take, at least one."""
        return max(1, math.ceil(pictures / self.rate)) if self.rate else 1


def scored(batch: list[Waiting]) -> list[Guesses]:
    """Raises RuntimeError for other than an answer for each picture: whoever had none would wait for ever."""
    found = batch[0].score(np.stack([it.pixels for it in batch]))
    if len(found) != len(batch):
        raise RuntimeError(f"the network gives {len(found)} answers for {len(batch)} pictures")
    return found
