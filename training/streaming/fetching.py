"""The loader's side of the fetcher: tells it where the rank stands, hears what it has to say."""

import weakref
from collections import Counter

from sharding.errors import TarnError
from training.streaming.plan import StreamPlan
from training.streaming.process import Child
from training.streaming.traffic import Traffic


class Fetching:
    """workers: that read what it fetches. counters, warnings: what it told so far; the latter are for the taking."""

    def __init__(self, plan: StreamPlan, workers: int) -> None:
        processes = max(1, workers) + 1
        self.traffic = Traffic(len(plan.shards), processes)
        setup = (plan, self.traffic.file, processes)
        self.child = Child("training.streaming.fetcher:fetch", setup, [self.traffic.file])
        self.counters: Counter[str] = Counter()
        self.warnings: list[str] = []
        self.close = weakref.finalize(self, Child.close, self.child)

    def stand_at(self, epoch: int, step: int) -> None:
        """The rank is about to read this step."""
        try:
            self.child.connection.send((epoch, step))
        except ConnectionError as error:
            raise TarnError(self.obituary()) from error

    def listen(self) -> None:
        """Takes in what the fetcher sent. Raises TarnError where it found something that no waiting mends."""
        try:
            while self.child.connection.poll():
                news = self.child.connection.recv()
                self.counters = Counter(news["counters"])
                self.warnings += news["warnings"]
                if news["error"]:
                    raise TarnError(news["error"])
        except (EOFError, ConnectionError) as error:
            raise TarnError(self.obituary()) from error

    def obituary(self) -> str:
        return f"the fetching process {self.child.ending()}: start again, the run goes on where it stood."
