"""Threads for waiting on the network: daemons, so that a program that is interrupted does not wait for them."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")


class Threads:
    """At most so many, started as work comes in and kept for more."""

    def __init__(self, most: int, name: str) -> None:
        self.most, self.name = most, name
        self.started = 0
        self.idle = threading.Semaphore(0)
        self.work: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = SimpleQueue()

    def submit(self, action: Callable[[], T]) -> "Future[T]":
        future: Future[T] = Future()
        self.work.put((future, action))
        if not self.idle.acquire(blocking=False) and self.started < self.most:
            self.started += 1
            threading.Thread(target=self.run, name=f"{self.name}-{self.started}", daemon=True).start()
        return future

    def end(self) -> None:
        """Each ends behind what it is at; nothing may be submitted any more."""
        for _ in range(self.started):
            self.work.put(None)

    def run(self) -> None:
        while (told := self.work.get()) is not None:
            future, action = told
            try:
                future.set_result(action())
            except BaseException as error:
                future.set_exception(error)
            del told, future, action  # not kept alive while waiting
            self.idle.release()
