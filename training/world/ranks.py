"""Ranks as numbers: the only place that divides by them. Needs no torch, so that decoding processes start at once."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tarn.sharding.cores import available_cores


@dataclass(frozen=True, slots=True)
class Ranks:
    """This process among all: its rank, their number, its place on its host, their number there."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    local_size: int = 1

    @property
    def is_main(self) -> bool:
        return self.rank == 0

    def share(self, count: int, lanes: int = 1) -> NDArray[np.int64]:
        """Offsets among `count` positions that this rank serves; over all ranks each comes exactly once.

        Whole lanes where the ranks divide them and they divide the count, so that a rank needs only its own lanes'
        shards; else a contiguous slice.
        """
        offsets = np.arange(count, dtype=np.int64)
        if self.has_whole_lanes(count, lanes):
            mine = offsets % lanes // (lanes // self.size) == self.rank
            return offsets.compress(mine)
        return offsets[count * self.rank // self.size : count * (self.rank + 1) // self.size]

    def largest_share(self, count: int) -> int:
        """The most that any rank serves of `count` or fewer positions."""
        return -(-count // self.size)

    def smallest_share(self, count: int) -> int:
        """The least that any rank serves of `count` positions."""
        return count // self.size

    def has_whole_lanes(self, count: int, lanes: int) -> bool:
        return lanes % self.size == 0 and count % lanes == 0

    def lanes(self, global_batch: int, lanes: int) -> range:
        """The lanes that this rank's share touches."""
        if not self.has_whole_lanes(global_batch, lanes):
            return range(lanes)
        each = lanes // self.size
        return range(self.rank * each, (self.rank + 1) * each)

    def loss_scale(self, global_batch: int) -> float:
        """What a sum of sample losses is multiplied by, so that the mean over ranks is the global batch's mean."""
        return self.size / global_batch

    def cores(self) -> int:
        """CPU cores for this process, when the ranks of the host share them evenly."""
        return max(1, available_cores() // self.local_size)
