"""Reading until the bytes are here: bounded retries, each going on at the byte where the last one broke."""

import contextlib
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from tarn.sharding.errors import TarnError
from tarn.sharding.storage.answers import advice, cause, is_final, is_missing
from tarn.sharding.storage.clients import Client
from tarn.sharding.storage.threads import Threads
from tarn.sharding.storage.told import TOLD

T = TypeVar("T")

PARALLEL = 64  # ranges asked for at a time


class RemoteError(TarnError):
    """A remote file that could not be read. final: trying again is no use; missing: because it is not there."""

    def __init__(self, message: str, final: bool, missing: bool) -> None:
        super().__init__(message)
        self.final, self.missing = final, missing


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """attempts: in a row without a byte in between; deadline: seconds without a byte. Whichever comes first ends it."""

    attempts: int = 8
    deadline: float = field(default_factory=lambda: TOLD.store.deadline)  # the command's, where none is given
    first_pause: float = 0.2
    longest_pause: float = 10.0

    @property
    def silence(self) -> float:
        """Seconds that one connection may be silent: several have their turn before the deadline."""
        return min(15.0, max(1.0, self.deadline / 8))

    def pause(self, attempt: int) -> float:
        """Seconds before the next attempt: doubling, with full jitter, so that ranks do not come back all at once.

        (M. Brooker 2015, "Exponential backoff and jitter".) Timing never touches what a batch holds.
        """
        return random.uniform(0.1, 1.0) * min(self.longest_pause, self.first_pause * 2.0**attempt)


@dataclass(slots=True)
class Reader:
    """Ranges of the objects below one root. counters: retries, resumed (mid-body), bytes, requests."""

    root: str
    client: Client
    patience: Patience = field(default_factory=Patience)
    counters: Counter[str] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)
    threads: Threads = field(default_factory=lambda: Threads(PARALLEL, "tarn-range"))

    def count(self, name: str, amount: int = 1) -> None:
        with self.lock:
            self.counters[name] += amount

    def stream(self, name: str, start: int, end: int) -> Iterator[bytes]:
        """Exactly the bytes [start, end), in order. Raises TarnError naming URL, attempts and the last cause."""
        attempts, at, moved = 0, start, time.monotonic()
        while True:
            try:
                self.count("requests")
                for piece in self.client.stream(name, at, end):
                    if len(piece):
                        at, attempts, moved = at + len(piece), 0, time.monotonic()
                        self.count("bytes", len(piece))
                        yield piece
                if at >= end:
                    return
                raise EOFError(f"the body ended at byte {at} of {end}")
            except GeneratorExit:
                raise
            except Exception as error:  # each client raises its own kinds
                attempts += 1
                self.judge(error, name, attempts, time.monotonic() - moved)
                self.count("resumed" if at > start else "retries")
                time.sleep(self.patience.pause(attempts - 1))

    def judge(self, error: Exception, name: str, attempts: int, silent: float) -> None:
        """Returns where another attempt may help; raises TarnError where none will, or patience is at its end."""
        if isinstance(error, TarnError):
            raise error
        final = is_final(error)
        if final or attempts >= self.patience.attempts or silent > self.patience.deadline:
            why = "" if final else f" without a byte for {silent:.0f} s"
            raise RemoteError(
                f"{self.root.rstrip('/')}/{name} cannot be read (gave up after {attempts} "
                f"attempt{'s' if attempts > 1 else ''}{why}: {cause(error)}): {advice(error)}.",
                final,
                is_missing(error),
            ) from error

    def read(self, name: str, start: int, end: int) -> bytes:
        return b"".join(self.stream(name, start, end))

    def read_many(self, ranges: Sequence[tuple[str, int, int]]) -> list[bytes]:
        """All at once, in the order of the ranges (name, start, end)."""
        if len(ranges) < 2:
            return [self.read(*each) for each in ranges]
        coming = [self.threads.submit(partial(self.read, *each)) for each in ranges]
        return [each.result() for each in coming]

    def open_connections(self, name: str, count: int) -> None:
        """By asking for a byte of an object on each; does not wait, nor mind failures."""

        def ask() -> None:
            with contextlib.suppress(Exception):
                list(self.client.stream(name, 0, 1))

        for _ in range(count):
            self.threads.submit(ask)


def patiently(action: Callable[[], T], url: str, patience: Patience) -> T:
    """What the action returns, tried again after passing faults. Raises TarnError naming the URL and the attempts."""
    started = time.monotonic()
    for attempt in range(1, patience.attempts + 1):
        try:
            return action()
        except Exception as error:
            if isinstance(error, TarnError):
                raise
            if is_final(error) or attempt == patience.attempts or time.monotonic() - started > patience.deadline:
                raise RemoteError(
                    f"{url} cannot be read (gave up after {attempt} attempt{'s' if attempt > 1 else ''}: "
                    f"{cause(error)}): {advice(error)}.",
                    is_final(error),
                    is_missing(error),
                ) from error
            time.sleep(patience.pause(attempt - 1))
    raise AssertionError("unreachable: the last attempt returns or raises")
