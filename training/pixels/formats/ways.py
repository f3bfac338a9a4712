"""The ways to a picture's pixels, by its first bytes."""

from collections.abc import Iterator

from tarn.sharding.jpeg.structure import is_whole
from tarn.sharding.pillow import open_picture
from tarn.training.pixels.formats.baseline import BaselineJpegs
from tarn.training.pixels.formats.opened import Opened
from tarn.training.pixels.formats.pillow_picture import PillowPicture
from tarn.training.pixels.formats.png import open_png
from tarn.training.pixels.formats.turbo import open_jpeg
from tarn.training.pixels.formats.webp import open_webp

JPEG = b"\xff\xd8"


def ways(data: memoryview, baseline: BaselineJpegs, whole: bool) -> Iterator[Opened]:
    """Fastest first; Pillow, the last one, judges what the others leave. whole: a baseline JPEG must go up to its end
    marker, for it may be cut off where no box shows it, while the others look at their ends themselves.

    Raises BrokenPictureError.
    """
    first: Opened | None = None
    if data[:2] == JPEG:
        if (not whole or is_whole(data)) and (first := baseline.open(data)):
            yield first
        first = open_jpeg(data)
    else:
        first = open_webp(data)
    if first:
        yield first
    image = open_picture(data)
    if png := open_png(data, image):
        yield png
    yield PillowPicture(image)
