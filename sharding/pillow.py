"""Pictures as Pillow reads them: the one way in for packing, training and inference, with the same formats and limits.

Whatever a decoder raises is one broken picture: decoders meet what the net is full of, and raise what they like.
"""

import functools
import importlib
import io
import os
import re
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from PIL import ExifTags, Image, ImageFile, UnidentifiedImageError

from tarn.sharding import libtiff
from tarn.sharding.segments import first_scan, is_scalable

Bytes = bytes | memoryview

# Those that pictures of datasets come in, and no other's plugin: each is a parser of whatever bytes there are. MPO, the
# JPEG of several pictures, is opened by JPEG's.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "JPEG2000", "PPM")
PLUGINS = ("Jpeg", "Mpo", "Png", "WebP", "Gif", "Bmp", "Tiff", "Avif", "Jpeg2K", "Ppm")
MOST_BYTES = 512 * 2**20
MOST_PIXELS = 178_956_970  # where Pillow speaks of a decompression bomb; 0.5 GB as RGB
END_OF_JPEG = b"\xff\xd9"
ROTATION = ExifTags.Base.Orientation
TURNS = dict(
    zip(
        range(2, 9),
        (
            *(Image.Transpose.FLIP_LEFT_RIGHT, Image.Transpose.ROTATE_180, Image.Transpose.FLIP_TOP_BOTTOM),
            *(Image.Transpose.TRANSPOSE, Image.Transpose.ROTATE_270, Image.Transpose.TRANSVERSE),
            Image.Transpose.ROTATE_90,
        ),
        strict=True,
    )
)
OBJECT = re.compile(r"<[\w.]+ object at 0x[0-9a-f]+>")


class BrokenPictureError(ValueError):
    """Bytes that are no whole picture, or too many of them."""


def open_picture(data: Bytes) -> ImageFile.ImageFile:
    """No pixel is read yet. Raises BrokenPictureError where not even the head can be read, and beyond the limits."""
    if len(data) > MOST_BYTES:
        raise BrokenPictureError(f"too large ({len(data):,} bytes, {MOST_BYTES:,} at most)")
    with decoding("not a readable picture"):
        image = Image.open(io.BytesIO(data), formats=known_formats())
    if image.width * image.height > MOST_PIXELS:
        raise BrokenPictureError(f"too large ({image.width} x {image.height} px, {MOST_PIXELS:,} in all at most)")
    if image.format in ("JPEG", "MPO") and not has_end(data):
        raise BrokenPictureError("damaged pixels (cut off before its end marker)")  # libjpeg would make the rest grey
    return image


def has_end(jpeg: Bytes) -> bool:
    """Whether an end marker stands behind its first scan. A thumbnail has one too, in front of it; cameras put whole
    films behind it."""
    return bytes(jpeg).rfind(END_OF_JPEG, first_scan(jpeg)) >= 0


def orientation(data: Bytes) -> int:
    """1 to 8 (Exif 2.32, 4.6.4); 1 where nothing sensible is told. Raises BrokenPictureError."""
    with open_picture(data) as image:
        return orientation_of(image)


def orientation_of(image: Image.Image) -> int:
    """The same of an opened picture. Exif that nobody can read says nothing, and harms no pixel."""
    with suppress(BrokenPictureError), decoding("not readable"):
        told = image.getexif().get(ROTATION, 1)
        return told if told in range(1, 9) else 1
    return 1


def upright(image: Image.Image) -> Image.Image:
    """As its Exif says that it is to be seen."""
    image.load()  # which turns a TIFF: then nothing more is told
    turn = TURNS.get(orientation_of(image))
    return image if turn is None else image.transpose(turn)


def draft(image: Image.Image, mode: str | None, size: tuple[int, int]) -> None:
    """Pillow's draft mode, of what open_picture gave: a JPEG is decoded at 1/2, 1/4 or 1/8, no smaller than `size`. But
    for lossless ones, whose pixels Pillow would then take for damaged."""
    file = getattr(image, "fp", None)
    if image.format in ("JPEG", "MPO") and isinstance(file, io.BytesIO) and is_scalable(file.getbuffer()):
        image.draft(mode, size)


class Strictness:
    """Settings of the whole process, Python's and Pillow's, while any of its threads decodes: the first one in keeps
    what the program had set, the last one out gives it back."""

    def __init__(self) -> None:
        self.lock, self.inside, self.lenient = threading.Lock(), 0, False
        self.warnings = warnings.catch_warnings()
        os.register_at_fork(after_in_child=self.forget_threads)

    def __enter__(self) -> None:
        with self.lock:
            if not self.inside:
                self.warnings = warnings.catch_warnings()
                self.warnings.__enter__()
                warnings.simplefilter("ignore")
                self.lenient, ImageFile.LOAD_TRUNCATED_IMAGES = ImageFile.LOAD_TRUNCATED_IMAGES, False
            self.inside += 1

    def __exit__(self, *error: object) -> None:
        with self.lock:
            self.inside -= 1
            if not self.inside:
                self.give_back()

    def give_back(self) -> None:
        self.warnings.__exit__(None, None, None)
        ImageFile.LOAD_TRUNCATED_IMAGES = self.lenient

    def forget_threads(self) -> None:
        """Those that decoded where a fork was made are not in the child."""
        self.lock = threading.Lock()
        if self.inside:
            self.inside = 0
            self.give_back()


STRICTNESS = Strictness()


@contextmanager
def decoding(failure: str) -> Iterator[None]:
    """Whatever is raised becomes a BrokenPictureError that begins with `failure`; warnings, our own limits being the
    same everywhere, are left out; and no picture is completed that was cut off, whatever the program has told Pillow.
    """
    try:
        with STRICTNESS:
            yield
    except BrokenPictureError:
        raise
    except UnidentifiedImageError as error:
        raise BrokenPictureError(f"{failure} (none of {', '.join(FORMATS)} that Pillow can open)") from error
    except Image.DecompressionBombError as error:
        raise BrokenPictureError(f"too large ({MOST_PIXELS:,} px in all at most)") from error
    except Exception as error:
        raise BrokenPictureError(f"{failure} ({told(error)})") from error


@functools.cache
def known_formats() -> tuple[str, ...]:
    """FORMATS that this Pillow was built with. Pillow itself would load all its plugins to find some of them."""
    for name in PLUGINS:
        with suppress(ImportError):
            importlib.import_module(f"PIL.{name}ImagePlugin")
    libtiff.silence()
    return tuple(name for name in FORMATS if name in Image.OPEN)


def told(error: Exception) -> str:
    words = " ".join(OBJECT.sub("its bytes", str(error)).split())
    return words[:120] or type(error).__name__
