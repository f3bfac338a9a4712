"""Rows of a batch that hold a JPEG in place of pixels, for a device to decode: what decoding processes do of it."""

import numpy as np
from numpy.typing import NDArray

from tarn.sharding.jpeg.structure import Bytes, Cutter, Reason, is_ycc, picture_size
from tarn.sharding.kernel import NoCompilerError
from tarn.sharding.pillow import MOST_BYTES, MOST_PIXELS
from tarn.training.pixels.geometry import Augmentation, is_flipped, resized_crop_box
from tarn.training.pixels.pictures import Pixels

# row: of the batch; length: bytes of the JPEG at the row's beginning; box: of the crop in that JPEG's picture, left,
# top, width and height in px; flip: mirrored left to right after all else.
JPEG_ROW = np.dtype([("row", "<i4"), ("length", "<i4"), ("box", "<f4", 4), ("flip", "?")])
MOST_REGION = 2**22  # px: a larger picture in so few bytes would cost the device more memory than it is worth
END = b"\xff\xd9"
EXIF = b"Exif\0"

JpegRow = tuple[int, tuple[float, float, float, float], bool]  # length, box, flip


def no_jpegs() -> NDArray[np.void]:
    return np.empty(0, JPEG_ROW)


class RegionWriter:
    """Writes of each picture the smallest JPEG that shows its crop, in memory of its own: one for each thread."""

    def __init__(self) -> None:
        self.cutter: Cutter | None
        try:
            self.cutter = Cutter()
        except NoCompilerError:
            self.cutter = None

    def write(
        self, data: memoryview, out: Pixels, augmentation: Augmentation, uniforms: NDArray[np.float64]
    ) -> JpegRow | None:
        """The region's bytes at out's beginning (size x size x 3, contiguous), or None: pixels are to be written.

        That is so where the picture is no sound baseline JPEG of usual colours as far as a look at its structure tells,
        or where the bytes do not fit. Crop and flip are those that decode.py chooses.
        """
        if self.cutter is None or augmentation.crop != "resized" or len(data) > MOST_BYTES or not is_ycc(data):
            return None
        width, height = picture_size(data)
        if not 0 < width * height <= MOST_PIXELS:
            return None
        left, top, right, bottom = box = resized_crop_box(width, height, augmentation, uniforms)
        region = self.cutter.cut(data, box)
        jpeg: Bytes
        if isinstance(region, Reason):
            if region != Reason.NO_GAIN or data[-2:] != END:  # cut short, perhaps: decoding it here will tell
                return None
            jpeg, x, y = data, 0, 0
        else:
            jpeg, x, y = region.data, region.left, region.top
            width, height = picture_size(jpeg)
        if len(jpeg) > out.size or width * height > MOST_REGION:
            return None
        row = out.reshape(-1)[: len(jpeg)]
        row[:] = np.frombuffer(jpeg, np.uint8)
        if jpeg is data:  # what is cut out has no metadata
            forget_orientation(row.data)
        inside = (float(left - x), float(top - y), float(right - left), float(bottom - top))
        return len(jpeg), inside, is_flipped(augmentation, uniforms)


def forget_orientation(jpeg: memoryview) -> None:
    """Fills Exif (JEITA CP-3451, an APP1 segment) with zeros: some decoders turn the picture as it says, others leave
    it, as all of Tarn does. jpeg: a JPEG whose head is sound as far as its scan; changed in place."""
    at = 2
    while at + 4 <= len(jpeg) and jpeg[at] == 0xFF and jpeg[at + 1] not in (0xDA, 0xD9):
        if jpeg[at + 1] == 0xFF:  # fills the space before a marker
            at += 1
            continue
        end = at + 2 + (jpeg[at + 2] << 8 | jpeg[at + 3])
        if jpeg[at + 1] == 0xE1 and jpeg[at + 4 : at + 4 + len(EXIF)] == EXIF:
            jpeg[at + 4 : end] = bytes(len(jpeg[at + 4 : end]))
        at = end
