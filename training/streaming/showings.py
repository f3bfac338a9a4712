"""Which sample stands at each position of an epoch, for which time, and what is drawn for it."""

import numpy as np
from numpy.typing import NDArray

from tarn.training.pixels.geometry import UNIFORMS
from tarn.training.streaming.blend import BlendOrder
from tarn.training.streaming.plan import StreamPlan
from tarn.training.streaming.randomness import alternating_uniforms, sample_uniforms
from tarn.training.streaming.repeats import unrepeated

Ints = NDArray[np.int64]


class Showings:
    """Of one epoch of a plan. Memory: that of its order (order.py)."""

    def __init__(self, plan: StreamPlan, epoch: int) -> None:
        self.plan, self.epoch, self.order = plan, epoch, plan.order(epoch)
        self.cycle, part = divmod(epoch, plan.repeats)
        self.begin = part * plan.samples  # of the epoch in its cycle

    def locate(self, positions: Ints) -> tuple[Ints, Ints]:
        """The shard (its number in the manifest) and the place in it of each position; two arrays of its shape."""
        shards, numbers = self.order.locate(self.in_cycle(positions)[0])
        return shards, self.plan.places(shards, numbers)

    def uniforms(self, positions: Ints, shards: Ints, places: Ints) -> NDArray[np.float64]:
        """len(positions) x UNIFORMS numbers in [0, 1) that choose crop and flip of what stands there.

        They come from the epoch and the position; where flips alternate, the last column from the sample itself and
        from how often it was shown before, counting epochs in which it was left out.
        """
        drawn = sample_uniforms(self.plan.seed, self.epoch, positions, UNIFORMS)
        if self.plan.augmentation is not None and self.plan.augmentation.flip_mode == "alternate":
            if isinstance(self.order, BlendOrder):
                before = self.order.passes(positions)
            else:
                before = self.cycle * self.plan.repeats + self.in_cycle(positions)[1]
            drawn[:, -1] = alternating_uniforms(self.plan.seed, shards, places, before)
        return drawn

    def in_cycle(self, positions: Ints) -> tuple[Ints, Ints]:
        """Positions in the order, and which showing of the cycle each is."""
        plan = self.plan
        return unrepeated(positions + self.begin, plan.samples, self.order.lane_count, plan.repeats)
