"""JPEGs that the region decoder leaves to others, progressive ones above all, by libjpeg-turbo through simplejpeg.

Pillow has the same library, and the same pixels, but keeps four bytes for each and copies them twice.
"""

import functools
import math
from types import ModuleType

import numpy as np
from PIL import Image

from tarn.sharding.pillow import MOST_BYTES
from tarn.sharding.segments import is_scalable
from tarn.training.pixels.formats.opened import scaled
from tarn.training.pixels.geometry import Box
from tarn.training.pixels.jpeg.region import Region

BITS = 8  # of a sample: of lossless pictures the library gives 2 to 7 as they are, which would be nearly black
ASKED = {"Gray": "GRAY", "YCbCr": "RGB", "RGB": "RGB", "CMYK": "CMYK", "YCCK": "CMYK"}  # by what colours are stored as


@functools.cache
def library() -> ModuleType | None:
    """simplejpeg, where it is installed."""
    try:
        import simplejpeg
    except ImportError:
        return None
    module: ModuleType = simplejpeg
    return module


class TurboJpeg:
    """Decoded whole: its scans cannot be read in part."""

    def __init__(self, data: memoryview, size: tuple[int, int], asked: str) -> None:
        self.data, self.size, self.asked = data, size, asked

    def region(self, box: Box, scale: int) -> Region | None:
        width, height = (math.ceil(side * scale / 8) for side in self.size)
        module = library()
        assert module is not None
        try:
            whole = module.decode_jpeg(self.data, self.asked, min_height=height, min_width=width, min_factor=8 / scale)
        except Exception:
            return None  # damaged: Pillow is to judge how much
        if whole.shape[:2] != (height, width):
            return None
        left, top, right, bottom = scaled(box, scale)
        part = whole[top:bottom, left:right]
        if self.asked == "GRAY":
            part = np.repeat(part.reshape(part.shape[:2])[:, :, None], 3, axis=2)
        elif self.asked == "CMYK":  # which Photoshop stores inverted, and Pillow takes for granted
            size = (right - left, bottom - top)
            part = np.asarray(Image.frombytes("CMYK", size, (255 - part).tobytes()).convert("RGB"))
        return Region(part, left, top, scale)


def open_jpeg(data: memoryview) -> TurboJpeg | None:
    """None for what is no JPEG, or one for others: lossless ones too, which have no smaller size to ask for, and of
    which Pillow reads those of 8 bits alone."""
    module = library()
    if module is None or len(data) > MOST_BYTES or not is_scalable(data, BITS):
        return None
    try:
        height, width, colours, _ = module.decode_jpeg_header(data)
    except Exception:  # KeyError for 4:4:1, ValueError otherwise
        return None
    asked = ASKED.get(colours)
    return None if asked is None else TurboJpeg(data, (width, height), asked)
