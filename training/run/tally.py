"""What the steps of a stretch add up to, and the time that they take."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(slots=True)
class Tally:
    """sums, on the device: loss, top-1 hits, top-5 hits, samples."""

    sums: Tensor
    seconds: float = 0.0
    waited: float = 0.0

    def add(self, other: "Tally") -> None:
        self.sums += other.sums
        self.seconds += other.seconds
        self.waited += other.waited

    def figures(self) -> dict[str, float]:
        loss, top1, top5, samples = self.sums.tolist()
        return {
            "loss": loss / max(1.0, samples),
            "top1": top1 / max(1.0, samples),
            "top5": top5 / max(1.0, samples),
            "images_per_second": samples / max(1e-9, self.seconds),
            "data_wait": self.waited / max(1e-9, self.seconds),
        }


def new_tally() -> Tally:
    return Tally(torch.zeros(4, dtype=torch.float64))


class Stopwatch:
    """Wall time of training alone: what other ranks or the data are waited for counts, saving and validating do not."""

    def __init__(self) -> None:
        self.seconds, self.since = 0.0, None  # type: float, float | None

    def start(self) -> None:
        if self.since is None:
            self.since = time.perf_counter()

    def stop(self) -> None:
        if self.since is not None:
            self.seconds, self.since = self.seconds + time.perf_counter() - self.since, None

    @contextmanager
    def stopped(self) -> Iterator[None]:
        was_running = self.since is not None
        self.stop()
        yield
        if was_running:
            self.start()

    def lap(self) -> float:
        """Seconds since the last lap; goes on from 0."""
        with self.stopped():
            seconds, self.seconds = self.seconds, 0.0
        return seconds
