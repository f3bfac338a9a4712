"""Several datasets in one stream, each by its share and by its own order.

Every epoch has as many samples of each part as its weight asks for, right to one, and every global batch too
(division.py). A part's samples are numbered as they come, through all epochs: number n is position n mod size of its
pass n // size, whose order is that of a dataset alone (order.py), drawn for the part and the pass. So a part is gone
through exactly once before its next pass begins, in the middle of a batch or an epoch where that is where it ends.

Which part stands at which place of a batch is the same in all of them, up to what the rounding of shares moves, and
even: so any run of places as long as a batch has the shares, too, and what a rank or a micro-batch has of each part is
right to a few. Place p is of lane p mod L, as everywhere, so ranks that serve whole lanes read shards of their own: a
part's samples stand at its places of their lanes, and those for which a lane has none left at one of another lane.

Nothing here knows ranks or workers, and any position is found by itself.
"""

from collections import OrderedDict
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from tarn.training.streaming.division import Division, by_weight
from tarn.training.streaming.order import EpochOrder
from tarn.training.streaming.origin import Origins
from tarn.training.streaming.randomness import mixed

Ints = NDArray[np.int64]

PART = 6  # what is drawn: the seed of a part
GOLDEN = np.uint64(0x9E3779B97F4A7C15)  # 2^64 over the golden ratio: its multiples lie evenly, mod 2^64
REMEMBERED = 2  # orders of each part: of a pass that ends and of the one that begins


@dataclass(frozen=True, kw_only=True)
class Blend:
    """weights: whole numbers that share no divisor, one for each origin. epoch_samples: a multiple of global_batch."""

    origins: Origins
    weights: tuple[int, ...]
    seed: int
    global_batch: int
    epoch_samples: int
    lanes: int
    active_shards: int

    @property
    def steps(self) -> int:
        """Of an epoch."""
        return self.epoch_samples // self.global_batch

    @cached_property
    def epochs(self) -> Division:
        """Of the stream among epochs."""
        return by_weight(self.weights, self.epoch_samples)

    def epoch(self, epoch: int) -> tuple[tuple[int, ...], Division]:
        """Samples of each part before an epoch, and the epoch's division among its steps."""
        begins, ends = self.epochs.before(epoch), self.epochs.before(epoch + 1)
        return begins, Division([end - begin for begin, end in zip(begins, ends, strict=True)], self.steps)

    @cached_property
    def places(self) -> Ints:
        """Of a batch, in the order in which the parts take them: one of each lane in turn, those of a lane at even
        distances, which begin elsewhere in each lane."""
        places = np.arange(self.global_batch)
        rounds, lanes = (each.astype(np.uint64) for each in divmod(places, self.lanes))
        even = rounds * GOLDEN + lanes * np.uint64(2**64 // self.lanes - 1)
        by_lane = np.lexsort((even, lanes))
        return by_lane[np.argsort(within_groups(by_lane % self.lanes), kind="stable")]

    def pass_order(self, part: int, number: int) -> EpochOrder:
        """Of one pass of a part."""
        seed, sizes = mixed(self.seed, PART, part), self.origins.each[part].sizes
        return EpochOrder(sizes, seed, number, self.lanes, self.active_shards)


class BlendOrder:
    """Where each position of one epoch lies. Memory: the orders of two passes of each part, and two batches."""

    lane_count = 1  # of the stream itself: lanes are those of the passes

    def __init__(self, blend: Blend, epoch: int) -> None:
        self.blend, self.number = blend, epoch
        self.begins, self.division = blend.epoch(epoch)
        self.orders: OrderedDict[tuple[int, int], EpochOrder] = OrderedDict()
        self.batches: OrderedDict[int, tuple[Ints, Ints]] = OrderedDict()

    def locate(self, positions: Ints) -> tuple[Ints, Ints]:
        """The shard (its number among those of all origins) and the sample's number in it, of each position."""
        parts, numbers = self.drawn(positions)
        shards, places = np.empty_like(positions), np.empty_like(positions)
        passes, within = divmod(numbers, self.sizes[parts])
        for part, number in np.unique(np.stack([parts, passes], axis=1), axis=0).tolist():
            chosen = (parts == part) & (passes == number)
            found, places[chosen] = self.pass_order(part, number).locate(within[chosen])
            shards[chosen] = found + self.blend.origins.firsts[part]
        return shards, places

    def passes(self, positions: Ints) -> Ints:
        """How often the sample at each position came before."""
        parts, numbers = self.drawn(positions)
        return numbers // self.sizes[parts]

    @cached_property
    def sizes(self) -> Ints:
        return np.array([origin.samples for origin in self.blend.origins.each], np.int64)

    def drawn(self, positions: Ints) -> tuple[Ints, Ints]:
        """The part that stands at each position, and the number of its sample in the part's stream."""
        parts, numbers = np.empty_like(positions), np.empty_like(positions)
        steps, places = divmod(positions, self.blend.global_batch)
        for step in np.unique(steps).tolist():
            chosen = steps == step
            of, what = self.batch(step)
            parts[chosen], numbers[chosen] = of[places[chosen]], what[places[chosen]]
        return parts, numbers

    def batch(self, step: int) -> tuple[Ints, Ints]:
        """Part and number of each place of a global batch; the last two batches are remembered."""
        if step not in self.batches:
            begins, ends = (np.add(self.begins, self.division.before(at)) for at in (step, step + 1))
            parts = np.repeat(np.arange(len(begins)), ends - begins)
            numbers = np.concatenate([np.arange(a, b) for a, b in zip(begins, ends, strict=True)])
            entries, lanes, places = np.empty_like(numbers), self.blend.lanes, self.blend.places
            own = parts * lanes + numbers % self.sizes[parts] % lanes
            samples, taken = matched(own, self.standing(ends - begins) * lanes + places % lanes)
            entries[places[taken]] = samples
            self.batches[step] = parts[entries], numbers[entries]
            while len(self.batches) > REMEMBERED:
                self.batches.popitem(last=False)
        return self.batches[step]

    def standing(self, counts: Ints) -> Ints:
        """The part of each of the blend's places: what every batch has of them first, so that it moves in none, and
        then the one more of some that the rounding of shares gives to this batch."""
        least = np.array(self.division.least)
        return np.concatenate([np.repeat(np.arange(len(counts)), least), np.flatnonzero(counts > least)])

    def pass_order(self, part: int, number: int) -> EpochOrder:
        if (part, number) not in self.orders:
            self.orders[part, number] = self.blend.pass_order(part, number)
            while len(self.orders) > REMEMBERED * len(self.blend.weights):
                self.orders.popitem(last=False)
        else:
            self.orders.move_to_end((part, number))
        return self.orders[part, number]


def within_groups(groups: Ints) -> Ints:
    """How many of each one's group stand before it; groups are sorted."""
    return np.arange(len(groups)) - np.searchsorted(groups, groups)


def matched(these: Ints, those: Ints) -> tuple[Ints, Ints]:
    """Pairs of indices, each used once: of equal values as far as there are any, the rest in their order."""
    one, other = np.argsort(these, kind="stable"), np.argsort(those, kind="stable")
    names = [values * len(values) + within_groups(values) for values in (these[one], those[other])]
    _, first, second = np.intersect1d(names[0], names[1], assume_unique=True, return_indices=True)
    pairs = [
        np.concatenate([order[equal], np.delete(order, equal)]) for order, equal in ((one, first), (other, second))
    ]
    return pairs[0], pairs[1]
