"""The loader's side of the fetcher: tells it where the rank stands, hears what it has to say."""

import time
from collections import Counter

from sharding.errors import TarnError
from training.streaming.crew import Crew
from training.streaming.plan import StreamPlan
from training.streaming.traffic import COMING, Traffic

HEAD_START = 2.0  # s


class Fetching:
    """counters, warnings: what it told so far; the latter are for the taking."""

    def __init__(self, plan: StreamPlan, crew: Crew) -> None:
        processes = max(1, len(crew.workers)) + 1
        self.traffic = Traffic(plan, processes, crew.traffic_file)
        self.child = crew.start_fetcher()
        self.child.send((plan, crew.traffic_file, processes))
        self.traffic.state[:] = COMING  # until the fetcher says otherwise
        self.first: tuple[int, int] | None = None
        self.due = 0.0
        self.started = False
        self.counters: Counter[str] = Counter()
        self.warnings: list[str] = []

    def begin(self, epoch: int, step: int) -> None:
        """The rank begins here. A loader's very first batch has the link for itself, for some seconds."""
        if self.started:
            self.stand_at(epoch, step)
        else:
            self.first, self.due = (epoch, step), time.monotonic() + HEAD_START

    def stand_at(self, epoch: int, step: int) -> None:
        """The rank is about to read this step."""
        self.started, self.first = True, None
        try:
            self.child.connection.send((epoch, step))
        except ConnectionError as error:
            raise TarnError(self.obituary()) from error

    def listen(self) -> None:
        """Takes in what the fetcher sent. Raises TarnError where it found something that no waiting mends."""
        if self.first is not None and time.monotonic() > self.due:
            self.stand_at(*self.first)
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
