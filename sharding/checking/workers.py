"""Shards checked by several processes, one shard a task, with one progress bar in bytes."""

import multiprocessing
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool

from tarn.sharding.checking.shard import Checked, Task, check
from tarn.sharding.children import end_with_the_parent, killed, leave_interrupts_to_the_parent
from tarn.sharding.cores import available_cores
from tarn.sharding.errors import TarnError
from tarn.sharding.progress import progress_bar
from tarn.sharding.storage.told import TOLD, Store
from tarn.sharding.storage.urls import KINDS, local_path, scheme_of

WORTH_A_PROCESS = 64 * 2**20  # bytes to read


def processes_for(tasks: Sequence[Task], told: int | None) -> int:
    """As told, else as many as there are cores and work for them."""
    if any(local_path(task.tars) is None and scheme_of(task.tars) not in KINDS for task in tasks[:1]):
        return 1  # a store that only this process may know
    work = sum(task.shard.bytes for task in tasks)
    return min(len(tasks), told or min(available_cores(), 1 + work // WORTH_A_PROCESS))


def check_all(tasks: Sequence[Task], workers: int | None) -> list[Checked]:
    """In the order of the tasks, whatever the number of processes. Raises TarnError where one of these is killed."""
    with progress_bar(sum(task.shard.bytes for task in tasks), "verifying", "B") as bar:
        if (processes := processes_for(tasks, workers)) < 2:
            return [check(task, bar.update) for task in tasks]
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(processes, context, initializer=begin, initargs=(TOLD.store,)) as pool:
            futures = {pool.submit(check_silently, task): task for task in tasks}
            try:
                for future in as_completed(futures):
                    bar.update(futures[future].shard.bytes)
                return [future.result() for future in futures]
            except BrokenProcessPool as error:
                raise TarnError(killed("verifying")) from error
            except BaseException:
                pool.shutdown(wait=True, cancel_futures=True)
                raise


def begin(store: Store) -> None:
    """What the command was told of stores holds here too."""
    TOLD.store = store
    leave_interrupts_to_the_parent()
    end_with_the_parent()


def check_silently(task: Task) -> Checked:
    return check(task, lambda size: None)
