"""The loader's side of the fetcher: tells it where the rank stands, hears what it has to say."""

from collections import Counter

from tarn.sharding.errors import TarnError
from tarn.training.streaming.plan import StreamPlan
from tarn.training.streaming.processes.crew import Crew
from tarn.training.streaming.processes.process import Child
from tarn.training.streaming.remote.traffic import COMING, Traffic

FETCHER = "tarn.training.streaming.remote.fetcher:fetch"  # the task of its process


class Fetching:
    """counters, warnings: what it told so far; the latter are for the taking.

    Its process starts when the rank first stands somewhere: by then the loader's first batch is here, which had the
    link and the cores for itself.
    """

    def __init__(self, plan: StreamPlan, crew: Crew) -> None:
        self.plan, self.crew = plan, crew
        self.processes = len(crew.workers) + 2  # the fetcher, the workers, the loader itself
        self.traffic = Traffic(plan, self.processes, crew.traffic_file)
        self.traffic.state[:] = COMING  # until the fetcher says otherwise
        self.child: Child | None = None
        self.counters: Counter[str] = Counter()
        self.warnings: list[str] = []

    def stand_at(self, epoch: int, step: int) -> None:
        """The rank is about to read this step."""
        if self.child is None:
            self.child = self.crew.start(FETCHER, self.crew.traffic_file)
            self.child.send((self.plan, self.crew.traffic_file, self.processes))
        try:
            self.child.connection.send((epoch, step))
        except ConnectionError as error:
            raise TarnError(self.obituary(self.child)) from error

    def listen(self) -> None:
        """Takes in what the fetcher sent. Raises TarnError where it found something that no waiting mends."""
        if self.child is None:
            return
        try:
            while self.child.connection.poll():
                news = self.child.connection.recv()
                self.counters = Counter(news["counters"])
                self.warnings += news["warnings"]
                if news["error"]:
                    raise TarnError(news["error"])
        except (EOFError, ConnectionError) as error:
            raise TarnError(self.obituary(self.child)) from error

    def obituary(self, child: Child) -> str:
        return f"the fetching process {child.ending()}: start again, the run goes on where it stood."
