"""What every model file becomes, whatever library computes it: pixels in, logits out."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tarn.training.export.card import Card


class Scorer(Protocol):
    """A network in use, on one device; from one thread at a time."""

    @property
    def card(self) -> Card:
        """Whose preprocessing is the one that its pixels must have had, up to the crop."""
        ...

    def logits(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """B x H x W x 3, in RGB, of card.preprocessing.crop px, to B x classes. It normalises them itself."""
        ...
