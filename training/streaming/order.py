"""The order of an epoch: a pure function of (sizes, seed, epoch, lanes, active shards), without I/O.

Shards are permuted by (seed, epoch); their samples, in that sequence, are cut into L lanes. Inside a lane samples are
permuted window by window, a window being the pieces of a few consecutive shards, so that a bounded set of shards is
in use at a time. Position p of the epoch is place p // L of lane p % L; the few samples that the longer lanes have in
excess come last. Every sample has exactly one position. Ranks and workers do not appear here.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tarn.training.streaming.randomness import permutation

Ints = NDArray[np.int64]

SHARDS, WINDOW = 2, 3  # what a drawn permutation is for: keeps their random streams apart


@dataclass(frozen=True, slots=True)
class Lane:
    """A run of the sample sequence: `begin` its first sample, `windows` where each window starts, and the end."""

    begin: int
    windows: Ints


class EpochOrder:
    """Where each position of one epoch lies. Memory: a few numbers a shard, and the windows in use.

    sizes: samples of each shard, in the manifest's order. Without shuffle the order is the manifest's, in one lane.
    """

    def __init__(
        self,
        sizes: Sequence[int] | Ints,
        seed: int,
        epoch: int,
        lanes: int = 1,
        active_shards: int = 16,
        shuffle: bool = True,
    ) -> None:
        self.path = (seed, epoch)
        self.shuffle = shuffle
        count = len(sizes)
        self.shards: Ints = permutation(count, *self.path, SHARDS) if shuffle else np.arange(count, dtype=np.int64)
        self.starts: Ints = np.concatenate([[0], np.cumsum(np.asarray(sizes, np.int64)[self.shards])]).astype(np.int64)
        total = int(self.starts[-1])
        self.lane_count = lanes if shuffle else 1
        self.lanes = [
            self.cut(total * lane // self.lane_count, total * (lane + 1) // self.lane_count, active_shards)
            for lane in range(self.lane_count)
        ]
        lengths = np.array([lane.windows[-1] for lane in self.lanes])
        self.rows = int(lengths.min())
        self.longer: Ints = np.flatnonzero(lengths > self.rows)  # by one sample
        self.permutations: OrderedDict[tuple[int, int], Ints] = OrderedDict()

    def __len__(self) -> int:
        """Positions of the epoch: one for every sample."""
        return int(self.starts[-1])

    def cut(self, begin: int, end: int, active_shards: int) -> Lane:
        """The lane of samples [begin, end), its windows ending with every (active // L)th shard that it touches."""
        step = max(1, active_shards // self.lane_count)
        first = int(np.searchsorted(self.starts, begin, side="right"))
        last = int(np.searchsorted(self.starts, end, side="left"))
        ends = self.starts[first:last][step - 1 :: step]
        return Lane(begin, np.concatenate([[begin], ends, [end]]).astype(np.int64) - begin)

    def locate(self, positions: Ints) -> tuple[Ints, Ints]:
        """The shard (its number in the manifest) and the place in it of each position; two arrays of its shape."""
        sequence = np.empty_like(positions)
        lanes, places = positions % self.lane_count, positions // self.lane_count
        excess = positions >= self.rows * self.lane_count
        lanes[excess] = self.longer[positions[excess] - self.rows * self.lane_count]
        places[excess] = self.rows
        for lane in np.unique(lanes):
            chosen = lanes == lane
            sequence[chosen] = self.in_lane(int(lane), places[chosen])
        slots = np.searchsorted(self.starts, sequence, side="right") - 1
        return self.shards[slots], sequence - self.starts[slots]

    def shards_between(self, first: int, last: int) -> list[int]:
        """Shards that hold numbers [first, last) of the epoch's sample sequence, in its order."""
        begin = int(np.searchsorted(self.starts, first, side="right")) - 1
        end = int(np.searchsorted(self.starts, last, side="left"))
        return [int(shard) for shard in self.shards[begin:end]]

    def in_lane(self, lane: int, places: Ints) -> Ints:
        """Numbers in the epoch's sample sequence of the given places of a lane."""
        begin, windows = self.lanes[lane].begin, self.lanes[lane].windows
        if not self.shuffle:
            return begin + places
        out = np.empty_like(places)
        numbers = np.searchsorted(windows, places, side="right") - 1
        for window in np.unique(numbers):
            chosen = numbers == window
            start = int(windows[window])
            drawn = self.window(lane, int(window), int(windows[window + 1]) - start)
            out[chosen] = begin + start + drawn[places[chosen] - start]
        return out

    def window(self, lane: int, window: int, size: int) -> Ints:
        """The permutation inside a window; the last two of every lane are remembered."""
        if (lane, window) not in self.permutations:
            self.permutations[lane, window] = permutation(size, *self.path, WINDOW, lane, window)
            while len(self.permutations) > 2 * self.lane_count:
                self.permutations.popitem(last=False)
        return self.permutations[lane, window]
