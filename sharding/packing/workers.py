"""Shards written by several processes, one shard a task, with one progress bar in pictures and bytes."""

import multiprocessing
import signal
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed

from tarn.sharding.errors import TarnError
from tarn.sharding.packing.writer import Task, Written, write_shard
from tarn.sharding.progress import progress_bar


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


def write_all(tasks: Sequence[Task], workers: int) -> list[Written]:
    """In the order of the tasks. An error in one stops the others."""
    bar = Bar(sum(len(task.pictures) for task in tasks))
    try:
        if workers == 1 or len(tasks) == 1:
            return [write_shard(task, bar.advance) for task in tasks]
        return write_in_processes(tasks, min(workers, len(tasks)), bar)
    except OSError as error:
        raise TarnError(f"packing stopped ({error}): make room or check permissions. Nothing was published.") from error
    finally:
        bar.bar.close()


def write_in_processes(tasks: Sequence[Task], workers: int, bar: Bar) -> list[Written]:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, initializer=leave_interrupts_to_the_parent) as pool:
        futures = {pool.submit(write_silently, task): task for task in tasks}
        try:
            for future in as_completed(futures):
                task = futures[future]
                bar.advance(len(task.pictures), sum(picture.size for picture in task.pictures))
                future.result()
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise
        return [future.result() for future in futures]


def leave_interrupts_to_the_parent() -> None:
    """Ctrl-C reaches every process of the terminal; the parent stops the others in order."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def write_silently(task: Task) -> Written:
    return write_shard(task, lambda pictures, data: None)
