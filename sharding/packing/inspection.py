"""A look at a picture's bytes: its real format, and whether it is whole."""

from typing import Any

from tarn.sharding.jpeg.structure import Reason, is_whole, look, picture_size
from tarn.sharding.pillow import MOST_BYTES, MOST_PIXELS, BrokenPictureError, decoding, has_end, open_picture
from tarn.sharding.sources.tree import EXTENSIONS

CHECKS = ("sample", "all", "off")
PNG = b"\x89PNG\r\n\x1a\n"
BEGINNINGS = (
    *((b"\xff\xd8", "jpg"), (PNG, "png"), (b"GIF8", "gif"), (b"BM", "bmp"), (b"II*\0", "tif"), (b"MM\0*", "tif")),
    *((b"\0\0\0\x0cjP  \r\n\x87\n", "jp2"), (b"\xff\x4f\xff\x51", "j2k")),
)
BROKEN = (BrokenPictureError,)


def ending(data: bytes, fallback: str) -> str:
    """jpg, png, webp ... by the content, whatever the file's name says; the fallback where the content says nothing,
    unless it is no picture's: a URL may end in anything, even in what tells a label."""
    if (told := told_kind(data)) is not None:
        return told
    return fallback.lower().lstrip(".") if not fallback or fallback.lower() in EXTENSIONS else "bin"


def told_kind(data: bytes) -> str | None:
    """By its first bytes; a PPM and its like tell too little by them."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "webp"
    if data[4:8] == b"ftyp" and data[8:12] in (b"avif", b"avis"):
        return "avif"
    return next((kind for begins, kind in BEGINNINGS if data.startswith(begins)), None)


def is_jpeg(data: bytes) -> bool:
    return data[:2] == b"\xff\xd8"


def damage(data: bytes, check: str) -> str | None:
    """What is wrong with a picture, None if nothing.

    check: sample (it is decoded, but for a baseline JPEG whose head is right and whose scan goes up to its end marker:
    decoders read any of those), all (every pixel is decoded), off (nothing but emptiness).
    """
    if not data:
        return "empty"
    if check == "off" or (check == "sample" and is_whole_jpeg(data)):
        return None
    try:
        with open_picture(data) as image, decoding("damaged pixels"):
            image.load()
            if image.mode not in ("L", "RGB"):
                image.convert("RGB")  # as training does, for which not every mode and palette will do
    except BrokenPictureError as error:
        return said(data, error)
    return None


def is_whole_jpeg(data: bytes) -> bool:
    return is_jpeg(data) and is_whole(data) and not is_too_large(data)


def said(data: bytes, error: BrokenPictureError) -> str:
    """What is wrong with a picture, by the bytes where they say more than their decoder did."""
    if (kind := told_kind(data)) is not None and "none of" in str(error):
        return cut_off(data) or f"not a readable picture (it begins as .{kind} does, and does not go on so)"
    return cut_off(data) or str(error)


def cut_off(data: bytes) -> str | None:
    """Where a broken picture lacks its end."""
    if is_jpeg(data) and look(data) != Reason.NOT_JPEG and not has_end(data):
        return "cut off before its end marker"
    if data.startswith(PNG) and b"IEND" not in data:
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
