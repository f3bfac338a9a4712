"""What the fetching and the decoding processes of a rank tell each other, in shared memory."""

import os

import numpy as np
from numpy.typing import NDArray

from training.streaming.plan import StreamPlan
from training.streaming.shared import mapped, page_aligned

UNKNOWN, COMING = 0, 1  # what the fetcher says of a shard
EAGER_BYTES, EAGER_SHARE = 128 * 2**20, 0.02  # by range at a start: at most so many bytes, and this part of the split
RANGE_SHARE = 0.05  # of the bytes fetched as shards may be read by range besides, so that little comes twice


class Traffic:
    """One byte of state for each shard, and a counter of bytes for each process: number 0 is the fetcher."""

    def __init__(self, plan: StreamPlan, processes: int, file: int) -> None:
        shards, at = len(plan.shards), page_aligned(8 * processes)
        size = at + page_aligned(max(1, shards))
        if os.fstat(file).st_size < size:
            os.ftruncate(file, size)
        memory = mapped(file, size)
        self.file, self.eager = file, eager_bytes(plan)
        self.moved: NDArray[np.int64] = np.frombuffer(memory, np.int64, processes)
        self.state: NDArray[np.uint8] = np.frombuffer(memory, np.uint8, shards, offset=at)

    def may_read_by_range(self) -> bool:
        """Whether reading a shard's samples singly, though the shard is coming, still wastes little."""
        return int(self.moved[1:].sum()) < self.eager + RANGE_SHARE * int(self.moved[0])


def eager_bytes(plan: StreamPlan) -> int:
    return int(min(EAGER_BYTES, EAGER_SHARE * sum(shard.bytes for shard in plan.shards)))
