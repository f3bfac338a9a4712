"""Hooks as somebody may write them: sound ones, and such that are wrong in one way each."""

import os
import random
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Fields = dict[str, Any]
OWN = np.random.default_rng()
CALLS = [0]
KEPT: dict[str, Any] = {"array": np.zeros(3), "list": [0.0]}


class WordlessError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


def unchanged(pixels: Pixels, fields: Fields, generator: np.random.Generator) -> Pixels:
    return pixels


def mirrored(pixels: Pixels, fields: Fields, generator: np.random.Generator) -> Pixels:
    """With all that lies on it; in place of it a view that runs backwards."""
    if generator.random() < 0.5:
        return pixels
    fields["masks"] = fields["masks"][:, ::-1]
    boxes = fields["boxes"].copy()
    boxes[:, [0, 2]] = pixels.shape[1] - boxes[:, [2, 0]]
    fields["boxes"] = boxes
    return pixels[:, ::-1]


def from_global_generators(pixels: Pixels, fields: Fields, generator: np.random.Generator) -> Pixels:
    """As torchvision's transforms do, and many of one's own."""
    noise = random.randrange(20) + np.random.randint(20)
    return np.roll(pixels, noise, axis=1)


def smaller(pixels: Pixels, fields: Fields, generator: np.random.Generator) -> Pixels:
    return pixels[: len(pixels) // 2]


def from_one_of_its_own(pixels: Pixels, fields: Fields, generator: np.random.Generator) -> Pixels:
    return np.roll(pixels, int(OWN.integers(1000)), axis=1)


def by_counting(pixels: Pixels, fields: Fields, generator: np.random.Generator) -> Pixels:
    CALLS[0] += 1
    return np.roll(pixels, CALLS[0], axis=1)


def as_floats(pixels: Pixels, fields: Fields, generator: np.random.Generator) -> Any:
    return pixels / 255


def nothing(pixels: Pixels, fields: Fields, generator: np.random.Generator) -> None:
    pixels[:] = 0


def failing(pixels: Pixels, fields: Fields, generator: np.random.Generator) -> Pixels:
    raise ValueError("no such luck")


def without_labels(pixels: Pixels, fields: Fields, generator: np.random.Generator) -> Pixels:
    del fields["labels"]
    return pixels


def flat_masks(pixels: Pixels, fields: Fields, generator: np.random.Generator) -> Pixels:
    fields["masks"] = fields["masks"].reshape(-1)
    return pixels


def from_kept_memory(pixels: Pixels, fields: Fields, generator: np.random.Generator) -> Pixels:
    """What it gives is written anew for the next sample."""
    KEPT["array"][:] = KEPT["list"][0] = generator.random()
    fields["array"], fields["list"] = KEPT["array"], KEPT["list"]
    return pixels


def backwards(pixels: Pixels, fields: Fields, generator: np.random.Generator) -> Pixels:
    fields["array"] = fields["array"][::-1]
    return pixels


def with_a_generator(pixels: Pixels, fields: Fields, generator: np.random.Generator) -> Pixels:
    fields["caption"] = (word for word in fields["caption"])
    return pixels


def wordless(pixels: Pixels, fields: Fields, generator: np.random.Generator) -> Pixels:
    raise WordlessError


def forking(pixels: Pixels, fields: Fields, generator: np.random.Generator) -> Pixels:
    """Once: the fork holds all that was open, for a minute, and its number stands in a file."""
    if "fork" not in KEPT:
        KEPT["fork"] = os.fork()
        if not KEPT["fork"]:
            time.sleep(60)
            os._exit(0)
        Path(os.environ["FORK_FILE"]).write_text(str(KEPT["fork"]))
    return pixels


def with_a_last_row_of_its_own(pixels: Pixels, fields: Fields, generator: np.random.Generator) -> Pixels:
    fields["array"][-1] = OWN.random()
    return pixels
