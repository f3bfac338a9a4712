"""A hook of somebody's own: found by its import path, called with what it may change, and its answer checked.

What it draws comes from the generator that it is given, of (seed, epoch, position). The global generators (random,
NumPy's, and torch's where that is imported) are seeded by the same for as long as it runs, for libraries draw from
them, torchvision's v2 among others; and they are put back where others use them, too.
"""

import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tarn.sharding.errors import TarnError
from tarn.training.streaming.import_paths import imported, shown
from tarn.training.streaming.randomness import mixed

PICTURE, BATCH = 6, 7  # what a key is for


class PictureHook:
    """Called with pixels (h x w x 3, uint8), the fields by name and a NumPy generator; gives the pixels, and may put
    other values of the fields. alone: whether nobody else in this process draws from the global generators."""

    def __init__(self, path: str, alone: bool) -> None:
        self.path, self.alone = path, alone
        self.call = imported(path, "picture_hook")
        if alone and "torch" in sys.modules:
            sys.modules["torch"].set_num_threads(1)  # there is a process for each core

    def __call__(self, pixels: NDArray[np.uint8], values: dict[str, Any], key: int, of: str) -> NDArray[np.uint8]:
        """key: of the random numbers. of: the sample, in words. Raises TarnError."""
        with seeded(key, self.alone):
            try:
                given = self.call(pixels, values, np.random.Generator(np.random.Philox(key=key)))
            except Exception as error:  # whatever somebody's function raises
                raise TarnError(f"{of}: {self} raised {shown(error, self.path)}.") from error
        expected = "uint8 pixels of height x width x 3"
        if given is None:
            raise TarnError(f"{of}: {self} returned nothing, expected {expected}.")
        try:
            found = np.asarray(given)
        except Exception as error:
            raise TarnError(f"{of}: {self} returned a {type(given).__name__}, expected {expected}.") from error
        if found.dtype != np.uint8 or found.ndim != 3 or found.shape[2] != 3:
            told = " x ".join(map(str, found.shape)) or f"a {type(given).__name__}"
            raise TarnError(f"{of}: {self} returned {told} of {found.dtype}, expected {expected}.")
        return found

    def __str__(self) -> str:
        return f"picture_hook {self.path}"


def picture_key(seed: int, epoch: int, position: int) -> int:
    return mixed(seed, epoch, position, PICTURE)


def batch_key(seed: int, epoch: int, step: int, part: int, rank: int) -> int:
    return mixed(seed, epoch, step, part, rank, BATCH)


@contextmanager
def seeded(key: int, alone: bool) -> Iterator[None]:
    """alone: what was before is not put back."""
    torch = sys.modules.get("torch")
    before = (
        None if alone else (random.getstate(), np.random.get_state(), torch and torch.default_generator.get_state())
    )
    random.seed(key)
    np.random.seed(key & 0xFFFFFFFF)
    if torch is not None:
        torch.default_generator.manual_seed(key & 0x7FFFFFFFFFFFFFFF)
    try:
        yield
    finally:
        if before is not None:
            random.setstate(before[0])
            np.random.set_state(before[1])
            if torch is not None and before[2] is not None:
                torch.default_generator.set_state(before[2])
