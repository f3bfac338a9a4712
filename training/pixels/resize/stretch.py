"""How one axis of a picture is resized: which of its px become which of the target's."""

import ctypes
import math

LARGEST_SIDE = 1 << 24  # px, of source and target alike: as in resize.c
REACH = {"bilinear": 1.0, "bicubic": 2.0}  # of the filters, in px of the smaller picture


class Stretch(ctypes.Structure):
    """[begin, end) of `length` px, beyond which nothing is, becomes `size` px; those from `first` on are made, out of
    given pixels that start with px `origin`. Values are those of resizing everything, whatever is given and made.
    """

    _fields_ = (
        *((name, ctypes.c_double) for name in ("begin", "end")),
        *((name, ctypes.c_int) for name in ("length", "size", "first", "origin")),
    )
    begin: float
    end: float
    length: int
    size: int
    first: int
    origin: int


def box_stretch(begin: float, extent: float, size: int) -> Stretch:
    """Of a box, as if the px that it touches, which are given, were the whole picture."""
    touched = int(begin)
    return Stretch(begin - touched, begin + extent - touched, math.ceil(begin + extent) - touched, size, 0, 0)


def window_stretch(length: int, size: int, first: int, count: int, interpolation: str) -> tuple[Stretch, int]:
    """Of `length` px that become `size`, the window of `count` px from `first` on. Also gives the end of the px that it
    needs, which begin at `origin`: those within the filter's reach, in the kernel's arithmetic (resize_weights.h).
    """
    scale = length / size
    reach = REACH[interpolation] * max(scale, 1.0)
    origin = int((first + 0.5) * scale - reach + 0.5)
    end = int((first + count - 0.5) * scale + reach + 0.5)
    return Stretch(0, length, length, size, first, max(origin, 0)), min(end, length)
