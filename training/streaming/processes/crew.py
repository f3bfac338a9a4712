"""The processes of a loader: started before its manifest is read, so that they are ready when it is."""

import os
import weakref

from tarn.training.streaming.processes.owner import Owner
from tarn.training.streaming.processes.process import Child
from tarn.training.streaming.processes.shared import anonymous_file


class Crew:
    """Workers at a task (`module:function`), and others when they are asked for, with some of the same memory files.

    queue_reader, queue_writer: a pipe that all workers read from.
    """

    def __init__(self, workers: int, task: str) -> None:
        self.slots_file, self.traffic_file, self.tickets_file = (anonymous_file(0) for _ in range(3))
        self.queue_reader, self.queue_writer = os.pipe()
        self.owner, self.children = Owner(), list[Child]()
        shared = [self.slots_file, self.traffic_file, self.tickets_file, self.queue_reader]
        self.close = weakref.finalize(self, close_all, self.owner, self.children, [*shared, self.queue_writer])
        self.workers = [self.start(task, *shared) for _ in range(workers)]

    def start(self, task: str, *files: int) -> Child:
        self.children.append(Child(task, files))
        return self.children[-1]


def close_all(owner: Owner, children: list[Child], files: list[int]) -> None:
    """Not in a fork, whose end is none of the loader's."""
    if not owner.is_here:
        return
    owner.is_open = False
    for child in children:
        child.close()
    for file in files:
        os.close(file)
