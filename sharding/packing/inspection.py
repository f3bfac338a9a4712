"""A look at a picture's bytes: its real format, and whether it is whole."""

from typing import Any

from tarn.sharding.jpeg.structure import Reason, look, picture_size
from tarn.sharding.pillow import MOST_BYTES, MOST_PIXELS, BrokenPictureError, decoding, open_picture
from tarn.sharding.sources.tree import EXTENSIONS

CHECKS = ("sample", "all", "off")
ENDINGS = {"JPEG": "jpg", "MPO": "jpg", "PNG": "png", "WEBP": "webp", "BMP": "bmp", "TIFF": "tif", "PPM": "ppm"}
BEGINNINGS = ((b"GIF8", "gif"), (b"BM", "bmp"), (b"II*\0", "tif"), (b"MM\0*", "tif"))
BROKEN = (BrokenPictureError,)


def ending(data: bytes, fallback: str) -> str:
    """jpg, png, webp ... by the content, whatever the file's name says; the fallback where the content says nothing,
    unless it is no picture's: a URL may end in anything, even in what tells a label."""
    if is_jpeg(data):
        return "jpg"
    if data[:8] == b"\x89PNG\r\n\x1a\n":
        return "png"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "webp"
    if not fallback or fallback.lower() in EXTENSIONS:
        return fallback.lower().lstrip(".")
    return next((kind for begins, kind in BEGINNINGS if data.startswith(begins)), "bin")


def is_jpeg(data: bytes) -> bool:
    return data[:2] == b"\xff\xd8"


def damage(data: bytes, check: str) -> str | None:
    """What is wrong with a picture, None if nothing.

    check: sample (its head can be read, and its end is there), all (every pixel is decoded), off (nothing but
    emptiness).
    """
    if not data:
        return "empty"
    if check == "off":
        return None
    try:
        if check == "all" or not is_jpeg(data) or look(data) != Reason.OK or is_too_large(data):
            with open_picture(data) as image, decoding("damaged pixels"):
                if check == "all":
                    image.load()
    except BrokenPictureError as error:
        return str(error)
    if is_jpeg(data) and data.rfind(b"\xff\xd9", max(0, len(data) - 65536)) < 0:
        return "cut off before its end marker"
    if data[:4] == b"\x89PNG" and b"IEND" not in data[-65536:]:
        return "cut off before its end chunk"
    return None


def is_too_large(jpeg: bytes) -> bool:
    """Whether training would refuse it."""
    width, height = picture_size(jpeg)
    return len(jpeg) > MOST_BYTES or width * height > MOST_PIXELS


def describe(data: bytes) -> dict[str, Any]:
    """width, height, mode and format from the header. Raises BrokenPictureError for what is no picture."""
    with open_picture(data) as image:
        return {"width": image.width, "height": image.height, "mode": image.mode, "format": image.format}
