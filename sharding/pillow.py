"""Pictures as Pillow reads them: the one way in for packing, training and inference, with the same formats and limits.

Whatever a decoder raises is one broken picture: decoders meet what the net is full of, and raise what they like.
"""

import functools
import importlib
import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from PIL import ExifTags, Image, ImageFile, ImageOps, UnidentifiedImageError

Bytes = bytes | memoryview

# Those that pictures of datasets come in, and no other's plugin: each is a parser of whatever bytes there are. MPO, the
# JPEG of several pictures, is opened by JPEG's.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "JPEG2000", "PPM")
PLUGINS = ("Jpeg", "Mpo", "Png", "WebP", "Gif", "Bmp", "Tiff", "Avif", "Jpeg2K", "Ppm")
MOST_BYTES = 512 * 2**20
MOST_PIXELS = 178_956_970  # where Pillow speaks of a decompression bomb; 0.5 GB as RGB
END_OF_JPEG, BEHIND = b"\xff\xd9", 2**16  # bytes at the file's end in which it must be: cameras put things behind it
ROTATION = ExifTags.Base.Orientation
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
    if image.format in ("JPEG", "MPO") and END_OF_JPEG not in bytes(data[-BEHIND:]):
        raise BrokenPictureError("damaged pixels (cut off before its end marker)")  # libjpeg would make the rest grey
    return image


def orientation(data: Bytes) -> int:
    """1 to 8 (Exif 2.32, 4.6.4); 1 where nothing sensible is told. Raises BrokenPictureError."""
    with open_picture(data) as image, decoding("not a readable picture"):
        told = image.getexif().get(ROTATION, 1)
    return told if told in range(1, 9) else 1


def upright(image: Image.Image) -> Image.Image:
    """As its Exif says that it is to be seen."""
    image.load()
    turned = ImageOps.exif_transpose(image)
    assert turned is not None  # but where it is asked to work in place
    return turned


@contextmanager
def decoding(failure: str) -> Iterator[None]:
    """Whatever is raised becomes a BrokenPictureError that begins with `failure`; warnings, our own limits being the
    same everywhere, are left out; and no picture is completed that was cut off, whatever the program has told Pillow.
    """
    lenient, ImageFile.LOAD_TRUNCATED_IMAGES = ImageFile.LOAD_TRUNCATED_IMAGES, False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except BrokenPictureError:
        raise
    except UnidentifiedImageError as error:
        raise BrokenPictureError(f"{failure} (none of {', '.join(FORMATS)})") from error
    except Image.DecompressionBombError as error:
        raise BrokenPictureError(f"too large ({told(error)})") from error
    except Exception as error:
        raise BrokenPictureError(f"{failure} ({told(error)})") from error
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = lenient


@functools.cache
def known_formats() -> tuple[str, ...]:
    """FORMATS that this Pillow was built with. Pillow itself would load all its plugins to find some of them."""
    for name in PLUGINS:
        with suppress(ImportError):
            importlib.import_module(f"PIL.{name}ImagePlugin")
    return tuple(name for name in FORMATS if name in Image.OPEN)


def told(error: Exception) -> str:
    words = " ".join(OBJECT.sub("its bytes", str(error)).split())
    return words[:120] or type(error).__name__
