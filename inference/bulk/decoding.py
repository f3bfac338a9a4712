"""Batches of pixels, made by processes while the network is at work on the one before.

Each process has a thread here that hands it a few pictures at a time, so whichever is free takes what is wanted next.
"""

import os
import queue
import threading
import weakref
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tarn.inference.bulk.worker import WORKER, Piece, Setup
from tarn.inference.limits import Limits
from tarn.inference.pictures import NamedPicture
from tarn.sharding.errors import TarnError
from tarn.sharding.storage.told import TOLD
from tarn.training.pixels.preprocessing import Preprocessing
from tarn.training.streaming.processes.process import Child
from tarn.training.streaming.processes.shared import anonymous_file, mapped

AHEAD = 3  # batches in the making beside the one that is scored
PIECE = 8  # pictures that a process takes at a time, at most

Errors = list[str | None]
Order = tuple[Piece, Future[Errors]]


@dataclass(frozen=True, slots=True)
class Decoded:
    """pixels: n x crop x crop x 3 uint8, in memory that is used again when the next batch is asked for. errors: what is
    wrong with a picture, None for what is sound, whose row alone means anything."""

    pictures: Sequence[NamedPicture]
    pixels: NDArray[np.uint8]
    errors: Errors


class Decoders:
    """Processes that are started at once and told later what pictures are to become, for models load slowly."""

    def __init__(self, workers: int) -> None:
        self.file = anonymous_file(0)
        self.children = [Child(WORKER, [self.file]) for _ in range(workers)]
        self.orders: queue.SimpleQueue[Order | None] = queue.SimpleQueue()
        self.threads, self.ended = list[threading.Thread](), threading.Event()
        self.close = weakref.finalize(self, close_all, self.children, self.threads, self.orders, self.ended)

    def set_up(self, how: Preprocessing, batch_size: int, orientation: str, limits: Limits) -> None:
        self.batch_size, self.crop = batch_size, how.crop
        rows = (AHEAD + 1) * batch_size
        size = rows * how.crop * how.crop * 3
        self.memory = memory_of(self.file, size).reshape(AHEAD + 1, batch_size, how.crop, how.crop, 3)
        setup = Setup(
            file=self.file, rows=rows, preprocessing=how, orientation=orientation, limits=limits, store=TOLD.store
        )
        for number in range(len(self.children)):
            self.children[number].send(setup)
            steward = Steward(self.children, number, setup, self.orders, self.ended)
            self.threads.append(threading.Thread(target=steward.serve, name=f"tarn-decoder-{number}", daemon=True))
            self.threads[-1].start()

    def decoded(self, batches: Iterable[Sequence[NamedPicture]]) -> Iterator[Decoded]:
        """In order. A batch may have fewer pictures than batch_size."""
        free, making = deque(range(AHEAD + 1)), deque[tuple[int, Sequence[NamedPicture], list[Future[Errors]]]]()
        coming, more = iter(batches), True
        while True:
            while more and len(making) < AHEAD and free:
                batch = next(coming, None)
                if batch is None:
                    more = False
                    break
                slot = free.popleft()
                making.append((slot, batch, self.order(slot, batch)))
            if not making:
                return
            slot, batch, futures = making.popleft()
            errors = [error for future in futures for error in future.result()]
            yield Decoded(batch, self.memory[slot, : len(batch)], errors)
            free.append(slot)

    def order(self, slot: int, batch: Sequence[NamedPicture]) -> list[Future[Errors]]:
        futures = []
        size = max(1, min(PIECE, -(-len(batch) // len(self.children))))
        for first in range(0, len(batch), size):
            futures.append(Future[Errors]())
            piece = Piece(slot * self.batch_size + first, batch[first : first + size])
            self.orders.put((piece, futures[-1]))
        return futures


@dataclass(slots=True)
class Steward:
    """Of one process. A picture that ends its decoder costs a process, not the job; a store that is lost ends it."""

    children: list[Child]
    number: int
    setup: Setup
    orders: "queue.SimpleQueue[Order | None]"
    ended: threading.Event

    def serve(self) -> None:
        while (order := self.orders.get()) is not None and not self.ended.is_set():
            piece, future = order
            try:
                future.set_result(self.answer(piece))
            except BaseException as error:
                future.set_exception(error)
        self.orders.put(None)  # for the next one

    def answer(self, piece: Piece) -> Errors:
        child = self.children[self.number]
        try:
            child.connection.send(piece)
            told: Errors | TarnError = child.connection.recv()
        except (EOFError, OSError):
            return self.mourn(piece, child)
        if isinstance(told, TarnError):
            raise told
        return told

    def mourn(self, piece: Piece, child: Child) -> Errors:
        """Goes on with another process, and finds out which picture it was."""
        ending = child.ending()
        if self.ended.is_set():
            return ["stopped" for _ in piece.pictures]
        child.close()
        self.children[self.number] = Child(WORKER, [self.setup.file])
        self.children[self.number].send(self.setup)
        if len(piece.pictures) == 1:
            return [f"its decoder {ending}"]
        singles = (replace(piece, row=piece.row + at, pictures=[each]) for at, each in enumerate(piece.pictures))
        return [error for single in singles for error in self.answer(single)]


def memory_of(file: int, size: int) -> NDArray[np.uint8]:
    """Raises TarnError where there is none."""
    try:
        os.ftruncate(file, size)
        return np.frombuffer(mapped(file, size), np.uint8)
    except OSError as error:
        raise TarnError(
            f"there is no memory for batches ({size / 1e6:.0f} MB; {error.strerror}): lower --batch-size."
        ) from error


def close_all(
    children: list[Child],
    threads: list[threading.Thread],
    orders: "queue.SimpleQueue[Order | None]",
    ended: threading.Event,
) -> None:
    """What waits is dropped."""
    ended.set()
    orders.put(None)
    for child in children:
        child.process.kill()
    for thread in threads:
        thread.join()
    for child in children:
        child.close()
