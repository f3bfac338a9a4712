"""What the fetching and the decoding processes of a rank tell each other, in shared memory."""

import os
from copy import copy

import numpy as np
from numpy.typing import NDArray

from tarn.training.streaming.plan import StreamPlan
from tarn.training.streaming.processes.shared import mapped, page_aligned

UNKNOWN, COMING = 0, 1  # what the fetcher says of a shard
# A sample read by range whose shard is coming is a sample that comes twice: it keeps batches coming at a start, later
# it only takes the link from the shards.
EAGER_BYTES = 128 * 2**20  # may be read so at once,
RANGE_SHARE = 0.05  # and besides this part of what came as shards,
MOST_SHARE = 0.01  # but by all ranks together no more than this part of the split


class Traffic:
    """One byte of state for each shard, and a counter of bytes for each process: number 0 is the fetcher."""

    def __init__(self, plan: StreamPlan, processes: int, file: int) -> None:
        shards, at = len(plan.shards), page_aligned(8 * processes)
        size = at + page_aligned(max(1, shards))
        if os.fstat(file).st_size < size:
            os.ftruncate(file, size)
        memory = mapped(file, size)
        self.file, self.most = file, most_bytes(plan)
        self.moved: NDArray[np.int64] = np.frombuffer(memory, np.int64, processes)
        self.state: NDArray[np.uint8] = np.frombuffer(memory, np.uint8, shards, offset=at)

    def of_shards(self, first: int, count: int) -> "Traffic":
        """The same, for a process that numbers the plan's shards from `first` on."""
        part = copy(self)
        part.state = self.state[first : first + count]
        return part

    def may_read_by_range(self) -> bool:
        """Whether reading a shard's samples singly, though the shard is coming, still wastes little."""
        return int(self.moved[1:].sum()) < min(self.most, EAGER_BYTES + RANGE_SHARE * int(self.moved[0]))


def eager_bytes(plan: StreamPlan) -> int:
    """That a rank may read by range at once."""
    return min(EAGER_BYTES, most_bytes(plan))


def most_bytes(plan: StreamPlan) -> int:
    """That a rank may read by range of shards that are coming."""
    return int(MOST_SHARE * sum(shard.bytes for shard in plan.shards) / plan.ranks.size)
