"""Baseline JPEGs: the restart intervals that a box touches are decoded, and no others."""

import numpy as np

from tarn.sharding.jpeg.structure import Reason, picture_size
from tarn.sharding.pillow import MOST_BYTES
from tarn.training.pixels.geometry import Box
from tarn.training.pixels.jpeg.region import Region, RegionDecoder


class BaselineJpegs:
    """Opens picture after picture, whose regions share one memory. Raises NoCompilerError."""

    def __init__(self) -> None:
        self.regions, self.pixels = RegionDecoder(), np.empty(1 << 20, np.uint8)

    def open(self, data: memoryview) -> "BaselineJpeg | None":
        """None for what is no JPEG."""
        size = picture_size(data)
        return BaselineJpeg(self, data, size) if size != (0, 0) and len(data) <= MOST_BYTES else None


class BaselineJpeg:
    """A JPEG, of which the first region tells whether it is a baseline one."""

    def __init__(self, shared: BaselineJpegs, data: memoryview, size: tuple[int, int]) -> None:
        self.shared, self.data, self.size = shared, data, size

    def region(self, box: Box, scale: int) -> Region | None:
        left, top, right, bottom = box
        room = 3 * (-(-(right - left) * scale // 8) + 1) * (-(-(bottom - top) * scale // 8) + 1)
        shared = self.shared
        if room > len(shared.pixels):
            shared.pixels = np.empty(2 * room, np.uint8)
        data = np.frombuffer(self.data, np.uint8)
        reason, (x, y, columns, rows) = shared.regions.decode_into(data, box, scale, shared.pixels)
        if reason != Reason.OK:
            return None
        return Region(shared.pixels[: rows * columns * 3].reshape(rows, columns, 3), x, y, scale)
