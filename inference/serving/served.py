"""The model that is served: read again while it is in use, and swapped between two batches."""

import asyncio
import logging
import os
from collections.abc import Callable
from datetime import UTC, datetime

import numpy as np

from tarn.inference.predictor import Predictor

LOG = logging.getLogger(__name__)


class Served:
    """load: reads the model, in whatever thread; what it raises the first time is raised here. Whoever asks takes
    `predictor` once, and has his pictures prepared and scored by the same one."""

    def __init__(self, load: Callable[[], Predictor]) -> None:
        self.load = load
        self.predictor = warm(load())
        self.since = datetime.now(UTC)
        self.loading = asyncio.Lock()

    async def reload(self) -> None:
        """Afterwards new requests have the new model; those under way keep theirs. What is raised leaves the old one.
        One at a time."""
        async with self.loading:
            self.predictor = await asyncio.to_thread(lambda: warm(self.load()))
            self.since = datetime.now(UTC)
            LOG.info("the model was read again (process %d)", os.getpid())


def warm(predictor: Predictor) -> Predictor:
    """One that has seen a picture: the first takes the longest."""
    side = predictor.card.preprocessing.crop
    predictor.score(np.zeros((1, side, side, 3), np.uint8))
    return predictor
