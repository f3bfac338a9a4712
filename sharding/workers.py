"""Shards written by several threads, one shard a task, with one progress bar in pictures and bytes.

Threads are enough: reading, tiling, encoding, hashing and writing hold no interpreter lock.
"""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed

from sharding.errors import TarnError
from sharding.progress import progress_bar
from sharding.writer import Task, Written, write_shard


class Bar:
    """Pictures on the bar, bytes and their rate beside it."""

    def __init__(self, total: int) -> None:
        self.bytes, self.started = 0, time.monotonic()
        self.bar = progress_bar(total, "packing", "img")
        self.lock = threading.Lock()

    def advance(self, pictures: int, data: int) -> None:
        with self.lock:
            self.bytes += data
            rate = self.bytes / 1e6 / max(1e-6, time.monotonic() - self.started)
            self.bar.set_postfix_str(f"{self.bytes / 1e6:.0f} MB, {rate:.0f} MB/s", refresh=False)
            self.bar.update(pictures)


class StoppedError(Exception):
    """Ends a thread whose shard nobody wants any more."""


def write_all(tasks: Sequence[Task], threads: int) -> list[Written]:
    """In the order of the tasks. An error in one stops the others."""
    bar = Bar(sum(len(task.pictures) for task in tasks))
    try:
        return write_in_threads(tasks, threads, bar.advance)
    except OSError as error:
        raise TarnError(f"packing stopped ({error}): make room or check permissions. Nothing was published.") from error
    finally:
        bar.bar.close()


def write_in_threads(tasks: Sequence[Task], threads: int, progress: Callable[[int, int], None]) -> list[Written]:
    stop = threading.Event()

    def advance(pictures: int, data: int) -> None:
        if stop.is_set():
            raise StoppedError
        progress(pictures, data)

    with ThreadPoolExecutor(threads, thread_name_prefix="tarn-pack") as pool:
        futures = [pool.submit(write_shard, task, advance) for task in tasks]
        try:
            for future in as_completed(futures):
                future.result()
        except BaseException:
            stop.set()
            pool.shutdown(cancel_futures=True)
            raise
        return [future.result() for future in futures]
