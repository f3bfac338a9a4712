"""Any picture that Pillow reads: decoded whole, since that is all that it can, but converted where it is needed."""

import math

import numpy as np
from PIL import Image

from tarn.sharding.pillow import decoding, draft
from tarn.training.pixels.formats.opened import scaled
from tarn.training.pixels.geometry import Box
from tarn.training.pixels.jpeg.region import Region


class PillowPicture:
    """A picture that Pillow has opened or made."""

    def __init__(self, image: Image.Image) -> None:
        self.image, self.size = image, image.size

    def region(self, box: Box, scale: int) -> Region:
        """A JPEG's scale is Pillow's draft mode. Raises BrokenPictureError where the pixels are cut off or damaged."""
        width, height = self.size
        with decoding("damaged pixels"):
            if scale < 8:
                draft(self.image, None, (max(width * scale // 8, 1), max(height * scale // 8, 1)))
            if self.image.size != (math.ceil(width * scale / 8), math.ceil(height * scale / 8)):
                scale = 8
            outer = scaled(box, scale)
            part = self.image.crop(outer)
            return Region(np.asarray(part if part.mode == "RGB" else part.convert("RGB")), *outer[:2], scale)
