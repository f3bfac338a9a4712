"""Shards made by several processes of this host, one shard a task.

A process is given its next shard when it has done the one before, so that of all pictures only those of the shards
under way are ever sent.
"""

import contextlib
import multiprocessing
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import islice

from tarn.sharding.children import end_with_the_parent, killed, leave_interrupts_to_the_parent
from tarn.sharding.cores import available_cores
from tarn.sharding.errors import TarnError
from tarn.sharding.packing.engines.engine import Advance, Keep
from tarn.sharding.packing.publishing import Target, make_shard
from tarn.sharding.packing.writer import Task, Written
from tarn.sharding.storage.told import TOLD, Store

PAYS = 8  # shards of pictures that are kept as they are, in whose time a process is started


@dataclass(frozen=True, slots=True)
class Processes:
    """The engine of one host. A single shard at a time is made by this very process."""

    def ready(self) -> AbstractContextManager[None]:
        return nullcontext()

    def at_a_time(self, tasks: Sequence[Task]) -> int:
        """As many as there are cores. Where pictures are kept as they are, checksums take a second core meanwhile: half
        as many, as far as they pay."""
        if all(task.preparation.light for task in tasks):
            return max(1, min(available_cores() // 2, len(tasks) // PAYS))
        return min(available_cores(), len(tasks))

    def make(self, tasks: Sequence[Task], target: Target, workers: int, keep: Keep, advance: Advance) -> None:
        """An error in one stops the others, behind the shards that they are at."""
        if workers == 1:
            for task in tasks:
                keep(task, make_shard(task, target, advance))
            return
        try:
            write_in_processes(tasks, target, workers, keep, advance)
        except BrokenProcessPool as error:
            raise TarnError(killed("packing")) from error


LOCAL = Processes()


def write_in_processes(tasks: Iterable[Task], target: Target, workers: int, keep: Keep, advance: Advance) -> None:
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
                    advance(len(task.pictures), task.bytes)
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
    """store: what the command was told of stores. Where it is killed, its processes end too: nobody is to publish
    shards when the next packing begins."""
    TOLD.store = store
    leave_interrupts_to_the_parent()
    end_with_the_parent()


def make_silently(task: Task, target: Target) -> Written:
    return make_shard(task, target, lambda pictures, data: None)
