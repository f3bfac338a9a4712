"""A picture whose head was read, and of which a part is wanted."""

import math
from typing import Protocol

from tarn.training.pixels.geometry import Box
from tarn.training.pixels.jpeg.region import Region


class Opened(Protocol):
    """What every format gives."""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in px, as they are stored."""
        ...

    def region(self, box: Box, scale: int) -> Region | None:
        """Pixels that hold those of the box (left, top, right, bottom; full-size px, within the picture), valid until
        the next ones; at scale / 8 where the format can be decoded so, else at full size. None where another way is to
        decode this picture, or to judge it.
        """
        ...


def scaled(box: Box, scale: int) -> Box:
    """The px of the picture at scale / 8 that a box touches."""
    left, top, right, bottom = box
    return left * scale // 8, top * scale // 8, math.ceil(right * scale / 8), math.ceil(bottom * scale / 8)
