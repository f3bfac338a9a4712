"""What the fetching and the decoding processes of a rank tell each other, in shared memory."""

import numpy as np
from numpy.typing import NDArray

from training.streaming.shared import anonymous_file, mapped, page_aligned

UNKNOWN, COMING = 0, 1  # what the fetcher says of a shard
EAGER_BYTES = 128 * 2**20  # by range, at a start, before whole shards are waited for
RANGE_SHARE = 0.1  # of the bytes fetched as shards may be read by range besides, so that little comes twice


class Traffic:
    """One byte of state for each shard, and a counter of bytes for each process: number 0 is the fetcher."""

    def __init__(self, shards: int, processes: int, file: int | None = None) -> None:
        self.shards, self.processes = shards, processes
        at, size = page_aligned(8 * processes), page_aligned(8 * processes) + page_aligned(max(1, shards))
        self.file = anonymous_file(size) if file is None else file
        memory = mapped(self.file, size)
        self.moved: NDArray[np.int64] = np.frombuffer(memory, np.int64, processes)
        self.state: NDArray[np.uint8] = np.frombuffer(memory, np.uint8, shards, offset=at)

    def may_read_by_range(self) -> bool:
        """Whether reading a shard's samples singly, though the shard is coming, still wastes little."""
        return int(self.moved[1:].sum()) < EAGER_BYTES + RANGE_SHARE * int(self.moved[0])
