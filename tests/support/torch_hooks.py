"""Hooks that need torch."""

import random
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from support.hooks import Fields, Pixels
from tarn.training.streaming import Batch


def from_global_generators(pixels: Pixels, fields: Fields, generator: np.random.Generator) -> Pixels:
    """As torchvision's transforms do, and many of one's own."""
    noise = random.randrange(20) + np.random.randint(20) + int(torch.randint(20, (1,)))
    return np.roll(pixels, noise, axis=1)


def mixed(batch: Batch, generator: np.random.Generator) -> Batch:
    order = torch.from_numpy(generator.permutation(len(batch.images)))
    return replace(batch, images=(batch.images // 2 + batch.images[order] // 2))


def no_batch(batch: Batch, generator: np.random.Generator) -> Any:
    return batch.images
