"""The processes of a loader: started before its manifest is read, so that they are ready when it is."""

import os
import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from training.streaming.process import Child
from training.streaming.shared import anonymous_file

WARMED = 1  # workers that open their connections ahead: the first batch is one of theirs


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """What is known of a store before its manifest: enough to open connections. silence: see clients.py."""

    root: str
    options: Mapping[str, Any]
    client: str
    silence: float


class Crew:
    """Decoding workers, and a fetcher where shards are cached. All get the same memory files."""

    def __init__(self, workers: int, fetches: bool, door: Door | None = None) -> None:
        self.slots_file, self.traffic_file = anonymous_file(0), anonymous_file(0)
        self.children: list[Child] = []
        self.fetcher: Child | None = None
        self.close = weakref.finalize(self, close_all, self.children, [self.slots_file, self.traffic_file])
        for number in range(workers):
            self.children.append(Child("training.streaming.worker:work", [self.slots_file, self.traffic_file]))
            self.children[-1].send(door if number < WARMED else None)
        self.workers = list(self.children)
        if fetches:
            self.start_fetcher()

    def start_fetcher(self) -> Child:
        if self.fetcher is None:
            self.fetcher = Child("training.streaming.fetcher:fetch", [self.traffic_file])
            self.children.append(self.fetcher)
        return self.fetcher

    def end_fetcher(self) -> None:
        """Where it turns out that nothing is cached."""
        if self.fetcher is not None:
            self.children.remove(self.fetcher)
            self.fetcher.close()
            self.fetcher = None


def close_all(children: list[Child], files: list[int]) -> None:
    for child in children:
        child.close()
    for file in files:
        os.close(file)
