"""How large a picture may be: what somebody else sends is refused before it takes memory or time."""

from contextlib import suppress
from dataclasses import dataclass

from PIL import Image

from tarn.sharding.errors import UsageError
from tarn.sharding.jpeg.structure import picture_size
from tarn.sharding.kernel import NoCompilerError
from tarn.sharding.pillow import MOST_BYTES, MOST_PIXELS, BrokenPictureError, Bytes, decoding, open_picture


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """bytes: of its file; pixels: width times height; frames: of an animation or of pages, of which the first is seen.

    By default those of training and evaluation, which cannot be raised, and 1,000 frames. Raises UsageError for what
    allows no picture.
    """

    bytes: int = MOST_BYTES
    pixels: int = MOST_PIXELS
    frames: int = 1000

    def __post_init__(self) -> None:
        for name, most in (("bytes", MOST_BYTES), ("pixels", MOST_PIXELS), ("frames", 2**31)):
            value = getattr(self, name)
            if not 1 <= value <= most:
                raise UsageError(f"a limit of {name}={value} is none: choose 1 to {most}.")

    def check(self, data: Bytes) -> None:
        """By its head alone. Raises BrokenPictureError."""
        check_size(len(data), self.bytes)
        width, height = jpeg_size(data)
        if width * height > 0:
            self.check_sides(width, height)
            return
        with open_picture(data) as image:
            self.check_image(image)

    def check_image(self, image: Image.Image) -> None:
        """One that Pillow has opened or made. Raises BrokenPictureError."""
        self.check_sides(*image.size)
        if (frames := frames_of(image)) > self.frames:
            raise BrokenPictureError(f"too long ({frames:,} frames, {self.frames:,} at most)")

    def check_sides(self, width: int, height: int) -> None:
        if width * height > self.pixels:
            raise BrokenPictureError(f"too large ({width} x {height} px, {self.pixels:,} in all at most)")


USUAL = Limits()


def check_size(size: int, most: int) -> None:
    """In bytes. Raises BrokenPictureError."""
    if size > most:
        raise BrokenPictureError(f"too large ({size:,} bytes, {most:,} at most)")


def jpeg_size(data: Bytes) -> tuple[int, int]:
    """0, 0 for what is no JPEG, and where nothing compiles the code that looks."""
    try:
        return picture_size(data)
    except NoCompilerError:
        return 0, 0


def frames_of(image: Image.Image) -> int:
    """One where they cannot be counted: whether the first can be seen is found when it is decoded."""
    with suppress(BrokenPictureError), decoding("not readable"):
        return int(getattr(image, "n_frames", 1))
    return 1
