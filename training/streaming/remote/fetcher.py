"""The process that brings whole shards into the cache, in the order in which its rank will need them.

Started by the loader (processes/process.py). It reads messages of where the rank stands, and sends
warnings, counters and, where there is no hope, an error. It ends when its loader does.
"""

import errno
import threading
import time
from collections import Counter
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from tarn.sharding import storage
from tarn.sharding.errors import TarnError
from tarn.sharding.storage.clients import build_client
from tarn.sharding.storage.persistence import Reader, RemoteError
from tarn.training.streaming.origin import Origin
from tarn.training.streaming.plan import StreamPlan
from tarn.training.streaming.remote.cache import NoRoomError, ShardCache, WrongBytesError
from tarn.training.streaming.remote.claims import Claims
from tarn.training.streaming.remote.horizon import Horizon
from tarn.training.streaming.remote.traffic import COMING, UNKNOWN, Traffic

DOWNLOADS = 8  # shards at a time
WRONG_BYTES_ATTEMPTS = 3
PAUSE = 0.5  # s, before a shard for which there was no room, or which another process brings, is looked at again
FULL_DISK_PAUSE = 30.0  # s
NEWS = 1.0  # s between reports


class Fetcher:
    """Threads that take the soonest needed shard which is not there yet."""

    def __init__(self, plan: StreamPlan, traffic: Traffic) -> None:
        assert plan.access.cache is not None
        self.plan, self.traffic = plan, traffic
        self.cache = ShardCache(plan.access.cache, plan.access.cache_limit)
        self.claims = Claims(plan.access.cache)
        self.counters: Counter[str] = Counter()
        self.readers = [None if origin.is_local else self.reader_of(origin) for origin in plan.sources.each]
        self.changed = threading.Condition()
        self.horizon: Horizon | None = None
        self.position = (0, 0)
        self.busy: set[int] = set()
        self.not_before: dict[int, float] = {}
        self.wrong: Counter[int] = Counter()
        self.warnings: list[str] = []
        self.paused_until = 0.0
        self.error: TarnError | None = None

    def reader_of(self, origin: Origin) -> Reader:
        access = origin.access
        client = build_client(origin.tars, access.options, access.client, access.patience.silence)
        return Reader(origin.tars, client, access.patience, counters=self.counters)

    def stand_at(self, epoch: int, step: int) -> None:
        """The rank is about to read a step; an earlier one than before means a new start."""
        with self.changed:
            before, self.position = self.position, (epoch, step)
            if self.horizon is None or self.position < before:
                self.horizon = Horizon(self.plan, self.cache.limit, epoch, step)
            elif not self.horizon.advance(epoch, step):
                return
            self.claims.update(self.horizon.distances())
            self.tell_states()
            self.changed.notify_all()

    def tell_states(self) -> None:
        """COMING for what is within reach; UNKNOWN, so that nobody waits for it, for all else."""
        now = time.monotonic()
        states = np.full_like(self.traffic.state, UNKNOWN)
        for shard in self.horizon.shards() if self.horizon and now >= self.paused_until else ():
            if self.not_before.get(shard, 0.0) <= now:
                states[shard] = COMING
        self.traffic.state[:] = states  # at once: a worker must not see a coming shard as unknown in between

    def download(self) -> None:
        """What each thread does."""
        while True:
            shard = self.take()
            try:
                if self.bring(shard):
                    self.not_before.pop(shard, None)
                    self.wrong.pop(shard, None)
                else:
                    self.put_off(shard, PAUSE, still_coming=True)
            except NoRoomError:
                self.put_off(shard, PAUSE)
            except WrongBytesError as error:
                self.note_wrong_bytes(shard, error)
            except RemoteError as error:
                if error.final:
                    self.error = error
                self.put_off(shard, PAUSE)
            except OSError as error:
                self.note_disk(shard, error)
            except Exception as error:  # a thread that ends unseen would leave workers waiting
                self.error = error if isinstance(error, TarnError) else TarnError(f"the fetcher failed: {error!r}.")
                self.put_off(shard, FULL_DISK_PAUSE)
            finally:
                with self.changed:
                    self.busy.discard(shard)

    def take(self) -> int:
        """The next shard, when there is one."""
        with self.changed:
            while True:
                now = time.monotonic()
                for shard in self.horizon.shards() if self.horizon and now >= self.paused_until else ():
                    info = self.plan.shards[shard]
                    if shard in self.busy or self.not_before.get(shard, 0.0) > now:
                        continue
                    if not self.cache.holds(info.sha256, info.bytes):
                        self.busy.add(shard)
                        return shard
                self.changed.wait(PAUSE)

    def bring(self, shard: int) -> bool:
        info, reader = self.plan.shards[shard], self.readers[self.plan.sources.at(shard)[0]]
        assert reader is not None  # nobody needs what lies on this host to be brought (needs.py)

        def stream(at: int) -> Any:
            for piece in reader.stream(info.name, at, info.bytes):
                self.traffic.moved[0] += len(piece)
                yield piece

        return self.cache.fetch(info.sha256, info.bytes, stream, self.claims)

    def put_off(self, shard: int, seconds: float, still_coming: bool = False) -> None:
        with self.changed:
            self.not_before[shard] = time.monotonic() + seconds
            if not still_coming:
                self.traffic.state[shard] = UNKNOWN

    def note_wrong_bytes(self, shard: int, error: WrongBytesError) -> None:
        """Fetched again at once, a few times: a byte may flip on the way."""
        self.counters["wrong_bytes"] += 1
        self.wrong[shard] += 1
        if self.wrong[shard] >= WRONG_BYTES_ATTEMPTS:
            tars = self.plan.sources.each[self.plan.sources.at(shard)[0]].tars
            url = storage.join(tars, self.plan.shards[shard].name)
            self.error = TarnError(
                f"{url} does not hold what the manifest says, after {self.wrong[shard]} attempts ({error}): "
                "copy or pack it again."
            )
            self.put_off(shard, FULL_DISK_PAUSE)

    def note_disk(self, shard: int, error: OSError) -> None:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        what = "is full" if full else f"cannot be written ({error.strerror})"
        if not self.counters["disk_refusals"]:
            self.warnings.append(f"the cache {self.cache.folder} {what}: what it lacks is read by ranges, slower.")
        self.counters["disk_refusals"] += 1
        with self.changed:
            self.paused_until = time.monotonic() + FULL_DISK_PAUSE
            self.traffic.state[:] = UNKNOWN

    def news(self) -> dict[str, Any]:
        warnings, self.warnings = self.warnings, []
        return {"counters": dict(self.counters), "warnings": warnings, "error": str(self.error or "")}


def fetch(connection: Connection) -> None:
    """First the plan, the file and the number of processes of the traffic, then where the rank stands."""
    plan, traffic_file, processes = connection.recv()
    fetcher = Fetcher(plan, Traffic(plan, processes, traffic_file))
    for _ in range(DOWNLOADS):
        threading.Thread(target=fetcher.download, daemon=True).start()
    told: dict[str, Any] = {}
    while True:
        if connection.poll(NEWS):
            message = connection.recv()
            while connection.poll():
                message = connection.recv()  # only the latest counts
            fetcher.stand_at(*message)
        news = fetcher.news()
        if news != told:
            connection.send(news)
            told = {**news, "warnings": []}
