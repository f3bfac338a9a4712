"""Hooks that need torch."""

from dataclasses import replace
from typing import Any

import numpy as np
import torch

from tarn.training.streaming import Batch


def mixed(batch: Batch, generator: np.random.Generator) -> Batch:
    order = torch.from_numpy(generator.permutation(len(batch.images)))
    return replace(batch, images=(batch.images // 2 + batch.images[order] // 2))


def no_batch(batch: Batch, generator: np.random.Generator) -> Any:
    return batch.images


def halved(batch: Batch, generator: np.random.Generator) -> Batch:
    """With fewer pictures than samples."""
    return replace(batch, images=batch.images[::2])
