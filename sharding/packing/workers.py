"""Shards made by several processes, one shard a task, with one progress bar in pictures and bytes.

A process is given its next shard when it has done the one before, so that of all pictures only those of the shards
under way are ever sent.
"""

import contextlib
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import islice

from tarn.sharding.errors import TarnError
from tarn.sharding.packing.publishing import Target, make_shard
from tarn.sharding.packing.writer import Task, Written
from tarn.sharding.progress import progress_bar
from tarn.sharding.storage.told import TOLD, Store

Keep = Callable[[Task, Written], None]


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


def write_all(tasks: Sequence[Task], target: Target, workers: int, keep: Keep) -> None:
    """keep: told of each shard that is in its place, in whatever order. An error in one stops the others, behind the
    shards that they are at. Raises TarnError."""
    bar = Bar(sum(len(task.pictures) for task in tasks))
    try:
        if workers == 1 or len(tasks) == 1:
            for task in tasks:
                keep(task, make_shard(task, target, bar.advance))
        elif tasks:
            write_in_processes(tasks, target, min(workers, len(tasks)), bar, keep)
    except BrokenProcessPool as error:
        raise TarnError(
            "packing stopped, for one of its processes was killed (by the system, for want of memory?): give fewer "
            "--workers."
        ) from error
    except OSError as error:
        raise TarnError(f"packing stopped ({error}): make room or check permissions.") from error
    finally:
        bar.bar.close()


def write_in_processes(tasks: Iterable[Task], target: Target, workers: int, bar: Bar, keep: Keep) -> None:
    context, coming = multiprocessing.get_context("spawn"), iter(tasks)
    running: dict[Future[Written], Task] = {}
    with ProcessPoolExecutor(workers, context, initializer=begin_work, initargs=(TOLD.store,)) as pool:
        try:
            while True:
                for task in islice(coming, workers - len(running)):
                    running[pool.submit(make_silently, task, target)] = task
                if not running:
                    return
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    task = running.pop(future)
                    keep(task, future.result())
                    bar.advance(len(task.pictures), sum(picture.size for picture in task.pictures))
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            for future, task in finished(running):
                with contextlib.suppress(TarnError):  # what stopped it is told
                    keep(task, future.result())
            raise


def finished(running: dict[Future[Written], Task]) -> Iterator[tuple[Future[Written], Task]]:
    """Those that came to their end all the same."""
    for future, task in running.items():
        if future.done() and not future.cancelled() and future.exception() is None:
            yield future, task


def begin_work(store: Store) -> None:
    """store: what the command was told of stores. Ctrl-C reaches every process of the terminal; the parent stops the
    others in order. Where it is killed, they end too: nobody is to publish shards when the next packing begins."""
    TOLD.store = store
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=end_with_the_parent, name="tarn-parent", daemon=True).start()


def end_with_the_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def make_silently(task: Task, target: Target) -> Written:
    return make_shard(task, target, lambda pictures, data: None)
