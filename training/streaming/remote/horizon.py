"""The shards that a rank needs from where it stands, as far ahead as the cache reaches."""

from collections.abc import Iterator

from tarn.training.streaming.plan import StreamPlan
from tarn.training.streaming.remote.needs import Need, needs


class Horizon:
    """Moves along the order with the rank. Distances are shares of the limit: bytes of other shards needed before."""

    def __init__(self, plan: StreamPlan, limit: int, epoch: int, step: int) -> None:
        self.plan, self.limit = plan, limit
        self.epoch, self.position = epoch, step * plan.global_batch
        self.coming: Iterator[Need] = needs(plan, epoch, step)
        self.next = next(self.coming)
        self.last: dict[int, int] = {}  # shard -> the last position that needs it, soonest needed first
        self.bytes = 0
        self.advance(epoch, step)

    def advance(self, epoch: int, step: int) -> bool:
        """To the moment before a step. Returns whether anything changed."""
        self.position = (epoch - self.epoch) * self.plan.samples + step * self.plan.global_batch
        done = [shard for shard, last in self.last.items() if last <= self.position]
        for shard in done:
            del self.last[shard]
            self.bytes -= self.plan.shards[shard].bytes
        before = len(self.last)
        while self.bytes < self.limit and self.next.first <= self.position + self.plan.samples:
            need = self.next
            if need.shard not in self.last:
                self.bytes += self.plan.shards[need.shard].bytes
            self.last[need.shard] = max(need.last, self.last.get(need.shard, 0))
            self.next = next(self.coming)
        return bool(done) or len(self.last) != before

    def shards(self) -> list[int]:
        """Soonest needed first."""
        return list(self.last)

    def distances(self) -> dict[str, float]:
        """digest -> distance, for shards and their indexes."""
        told, before = {}, 0
        for shard in self.last:
            info = self.plan.shards[shard]
            told[info.sha256] = told[info.index_sha256] = before / self.limit
            before += info.bytes
        return told
