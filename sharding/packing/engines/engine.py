"""What every engine is: tasks in, shards in their places, told of as they are done, in whatever order."""

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from tarn.sharding.errors import TarnError
from tarn.sharding.packing.publishing import Target
from tarn.sharding.packing.writer import Task, Written
from tarn.sharding.progress import progress_bar

Keep = Callable[[Task, Written], None]  # told of each shard that is in its place
Advance = Callable[[int, int], None]  # told of pictures and bytes that are packed


class Engine(Protocol):
    def ready(self) -> AbstractContextManager[None]:
        """Around all of a packing. Raises TarnError where what is needed is not here, before the source is read."""
        ...

    def at_a_time(self, tasks: Sequence[Task]) -> int:
        """How many of them are best made at a time."""
        ...

    def make(self, tasks: Sequence[Task], target: Target, workers: int, keep: Keep, advance: Advance) -> None:
        """workers: shards at a time. An error in one stops the others; nobody writes to the target when it is raised.
        Raises TarnError, OSError."""
        ...


def write_all(tasks: Sequence[Task], target: Target, engine: Engine, workers: int | None, keep: Keep) -> None:
    """With one progress bar in pictures and bytes. workers: shards at a time; None: as the engine has it. Raises
    TarnError."""
    bar = Bar(sum(len(task.pictures) for task in tasks))
    try:
        if tasks:
            engine.make(tasks, target, min(workers or engine.at_a_time(tasks), len(tasks)), keep, bar.advance)
    except OSError as error:
        raise TarnError(f"packing stopped ({error}): make room or check permissions.") from error
    finally:
        bar.bar.close()


class Bar:
    """Pictures on the bar, bytes and their rate beside it."""

    def __init__(self, total: int) -> None:
        self.bytes, self.started = 0, time.monotonic()
        self.bar = progress_bar(total, "packing", "img")

    def advance(self, pictures: int, data: int) -> None:
        self.bytes += data
        rate = self.bytes / 1e6 / max(1e-6, time.monotonic() - self.started)
        self.bar.set_postfix_str(f"{self.bytes / 1e6:.0f} MB, {rate:.0f} MB/s", refresh=False)
        self.bar.update(pictures)
