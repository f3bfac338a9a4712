"""Where a part of a global batch stands: all that chance may depend on besides the seed, so that runs can go on."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tarn.training.streaming.randomness import mixed, sample_uniforms

POLICY, ERASING, MIXING = 11, 12, 13  # what is drawn: keeps random streams apart, those of order and crops too


@dataclass(frozen=True, slots=True)
class Moment:
    """positions: of the part's samples in the epoch, in their order; over all ranks each comes once."""

    epoch: int
    step: int
    positions: NDArray[np.int64]

    def of_samples(self, seed: int, count: int, what: int) -> NDArray[np.float64]:
        """samples x count numbers in [0, 1). A row depends on the sample's position, not on ranks or parts."""
        return sample_uniforms(seed, self.epoch, self.positions, count, what)

    def of_part(self, seed: int, what: int) -> np.random.RandomState:
        """One generator for all of the part, which its first position names.

        RandomState, for NumPy promises that its distributions stay as they are (NEP 19).
        """
        first = int(self.positions[0]) if len(self.positions) else -1
        key = mixed(seed, self.epoch, self.step, first, what)
        return np.random.RandomState(np.random.Philox(key=key))


NOWHERE = Moment(0, 0, np.empty(0, np.int64))  # for those who draw nothing


def sent(values: NDArray[np.generic], device: torch.device) -> Tensor:
    """Small values on a device, where nobody waits for them: page-locked memory is copied behind the host's back."""
    tensor = torch.from_numpy(values)
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)
