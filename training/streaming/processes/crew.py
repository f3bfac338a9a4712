"""The processes of a loader: started before its manifest is read, so that they are ready when it is."""

import os
import weakref

from tarn.training.streaming.processes.process import Child
from tarn.training.streaming.processes.shared import anonymous_file

WORKER = "tarn.training.streaming.workers.worker:work"
FETCHER = "tarn.training.streaming.remote.fetcher:fetch"


class Crew:
    """Decoding workers, and a fetcher when it is asked for. All get the same memory files."""

    def __init__(self, workers: int) -> None:
        self.slots_file, self.traffic_file = anonymous_file(0), anonymous_file(0)
        self.children: list[Child] = []
        self.close = weakref.finalize(self, close_all, self.children, [self.slots_file, self.traffic_file])
        for _ in range(workers):
            self.children.append(Child(WORKER, [self.slots_file, self.traffic_file]))
        self.workers = list(self.children)

    def start_fetcher(self) -> Child:
        self.children.append(Child(FETCHER, [self.traffic_file]))
        return self.children[-1]


def close_all(children: list[Child], files: list[int]) -> None:
    for child in children:
        child.close()
    for file in files:
        os.close(file)
