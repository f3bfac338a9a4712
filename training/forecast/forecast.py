"""What a run will ask of network and disks, told before it starts: from manifest and order alone.

The order is the loader's own (order.py), and so is the rule of what the cache keeps (horizon.py); the network's speed
is assumed.
"""

from dataclasses import dataclass, replace

from tarn.training.forecast.assumptions import Assumptions
from tarn.training.streaming.plan import StreamPlan
from tarn.training.streaming.remote.horizon import Horizon
from tarn.training.streaming.remote.needs import epoch_needs
from tarn.training.streaming.remote.traffic import eager_bytes
from tarn.training.world.ranks import Ranks

ROUND_TRIPS = 4  # of a first batch: manifest (twice: is it there?), indexes, pictures
LOOKS = 400  # moments of an epoch at which the cache is looked at, at most


@dataclass(frozen=True, slots=True)
class Traffic:
    """Of one host in one epoch: whole shards and single samples, and the bytes of both."""

    shards: int
    singles: int
    bytes: int

    @property
    def requests(self) -> int:
        return self.shards + self.singles


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """epochs: traffic of one host in the first and in the second. working_set: bytes of the shards that a host reads
    at a time, at most; all_shards: of those that it reads in an epoch. first_batch: seconds to it."""

    epochs: tuple[Traffic, Traffic]
    working_set: int
    all_shards: int
    first_batch: float
    shuffle_span: int


def forecast(plan: StreamPlan, limit: int | None, told: Assumptions, cores: int) -> Forecast:
    """limit: bytes of a host's cache, None where data are read in place or by ranges only. cores: of a host."""
    plans = of_one_host(plan, told)
    served = plan.samples * len(plans) // told.ranks
    mean = sum(shard.bytes for shard in plan.shards) / sum(shard.samples for shard in plan.shards)
    working, everything = working_set(plans)
    if limit is None:
        traffic = Traffic(0, 0, 0) if plan.is_local else Traffic(0, served, int(served * mean))
        epochs = (traffic, traffic)
    else:
        epochs = simulated(plans, limit, served, mean, working)
    batch = len(plan.share) * len(plans)
    arrival = 0.0 if plan.is_local else ROUND_TRIPS * told.latency / 1e3 + batch * mean / (told.bandwidth * 1e6)
    return Forecast(
        epochs=epochs,
        working_set=working,
        all_shards=everything,
        first_batch=arrival + batch / (told.decode * cores),
        shuffle_span=int(min(plan.samples, max(1, plan.active_shards // plan.lanes) * plan.lanes * plan.sizes.mean())),
    )


def of_one_host(plan: StreamPlan, told: Assumptions) -> list[StreamPlan]:
    local = told.ranks_of_host
    return [replace(plan, ranks=Ranks(rank, told.ranks, rank, local)) for rank in range(local)]


def working_set(plans: list[StreamPlan]) -> tuple[int, int]:
    """Bytes of the shards that are in use at one moment, at most, and of all that are used in an epoch."""
    changes: list[tuple[int, int]] = []
    used: dict[int, list[int]] = {}
    for plan in plans:
        for need in epoch_needs(plan, 0, 0, 0):
            begin, end = used.setdefault(need.shard, [need.first, need.last])
            used[need.shard] = [min(begin, need.first), max(end, need.last)]
    sizes = plans[0].shards
    for shard, (begin, end) in used.items():
        changes += [(begin, sizes[shard].bytes), (end, -sizes[shard].bytes)]
    most = now = 0
    for _, change in sorted(changes):
        now += change
        most = max(most, now)
    return most, sum(sizes[shard].bytes for shard in used)


def simulated(plans: list[StreamPlan], limit: int, served: int, mean: float, working: int) -> tuple[Traffic, Traffic]:
    """The cache's rule with the fetcher ahead: the soonest needed is there as far as the limit goes."""
    horizons = [Horizon(plan, limit, 0, 0) for plan in plans]
    held: set[int] = set()
    told: list[Traffic] = []
    singly = max(0.0, 1 - limit / working)  # of the samples, where not even what is in use at a time fits
    for epoch in range(2):
        fetched = moved = 0
        for step in range(0, plans[0].steps, max(1, plans[0].steps // LOOKS)):
            kept = soonest(horizons, epoch, step, limit)
            new = kept - held
            fetched, moved = fetched + len(new), moved + sum(plans[0].shards[shard].bytes for shard in new)
            held = kept
        eager = min(eager_bytes(plans[0]) * len(plans), served * mean) / mean if fetched and epoch == 0 else 0
        singles = int(max(eager, singly * served))
        told.append(Traffic(fetched, singles, moved + int(singles * mean)))
    return told[0], told[1]


def soonest(horizons: list[Horizon], epoch: int, step: int, limit: int) -> set[int]:
    distances: dict[int, float] = {}
    for horizon in horizons:
        horizon.advance(epoch, step)
        before = 0
        for shard in horizon.shards():
            distances[shard] = min(before, distances.get(shard, before))
            before += horizon.plan.shards[shard].bytes
    kept: set[int] = set()
    room = limit
    for shard in sorted(distances, key=lambda shard: distances[shard]):
        room -= horizons[0].plan.shards[shard].bytes
        if room < 0:
            break
        kept.add(shard)
    return kept
