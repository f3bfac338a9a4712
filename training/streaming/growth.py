"""Pictures that grow while a run learns: the size of each epoch."""

import itertools
from dataclasses import dataclass

import numpy as np

from tarn.sharding.errors import UsageError
from tarn.sharding.values import as_told

MULTIPLE = 32  # px


@dataclass(frozen=True, slots=True)
class Growth:
    """`first` px up to epoch `begin`, `last` px from epoch `end` on, between them a line, rounded to multiples of 32.

    Source: FFCV's progressive resizing (Leclerc et al. 2023, arXiv 2306.12517; get_resolution of ffcv-imagenet's
    train_imagenet), with the rounding held between first and last, where those are no multiples themselves.
    """

    first: int
    last: int
    begin: int
    end: int

    def size(self, epoch: int) -> int:
        """px of a picture's side in an epoch, counted from 0."""
        if epoch <= self.begin:
            return self.first
        if epoch >= self.end:
            return self.last
        between = float(np.interp(epoch, [self.begin, self.end], [self.first, self.last]))
        return min(self.last, max(self.first, round(between / MULTIPLE) * MULTIPLE))

    def in_words(self, epochs: int) -> str:
        """Such as `128 px, 160 from epoch 5, 192 from epoch 9`, for a run of so many epochs."""
        sizes = [(epoch, self.size(epoch)) for epoch in range(max(1, epochs))]
        changes = [(epoch, size) for (_, before), (epoch, size) in itertools.pairwise(sizes) if size != before]
        return ", ".join([f"{sizes[0][1]} px", *(f"{size} from epoch {epoch}" for epoch, size in changes)])


def growth_of(image_size: int, first_size: int | None, ramp: tuple[int, int] | None, prefix: str = "") -> Growth | None:
    """None where nothing grows. prefix: of the settings' names. Raises UsageError for settings that make no growth."""
    if first_size is None and ramp is None:
        return None
    if first_size is None or ramp is None:
        nothing = "null" if prefix else "None"  # a run's settings are YAML, those of other trainers Python
        first, epochs = (nothing if value is None else as_told(value) for value in (first_size, ramp))
        raise UsageError(
            f"{prefix}first_size={first} and {prefix}ramp={epochs} belong together: "
            "the size of the first epochs, and the epochs between which it grows, such as 128 and [6, 30]."
        )
    if not 1 <= first_size <= image_size:
        raise UsageError(f"{prefix}first_size={first_size} must be between 1 and {prefix}image_size={image_size} px.")
    if not 0 <= ramp[0] <= ramp[1]:
        raise UsageError(f"{prefix}ramp={list(ramp)} must be two epochs, counted from 0, the earlier one first.")
    return Growth(first_size, image_size, *ramp)
