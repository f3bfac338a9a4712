"""A look at a picture's bytes: its real format, and whether it is whole."""

from typing import Any

from tarn.sharding.beginnings import PNG, told_kind
from tarn.sharding.jpeg.structure import Reason, is_whole, look, picture_size
from tarn.sharding.pillow import MOST_BYTES, MOST_PIXELS, BrokenPictureError, decoding, has_end, open_picture
from tarn.sharding.segments import has_odd_head
from tarn.sharding.sources.tree import EXTENSIONS

CHECKS = ("sample", "all", "off")
BROKEN = (BrokenPictureError,)


def ending(data: bytes, fallback: str) -> str:
    """jpg, png, webp ... by the content, whatever the file's name says; the fallback where the content says nothing,
    unless it is no picture's: a URL may end in anything, even in what tells a label."""
    if (told := told_kind(data)) is not None:
        return told
    return fallback.lower().lstrip(".") if not fallback or fallback.lower() in EXTENSIONS else "bin"


def is_jpeg(data: bytes) -> bool:
    return data[:2] == b"\xff\xd8"


def damage(data: bytes, check: str) -> str | None:
    """What is wrong with a picture, None if nothing.

    check: sample (it is decoded, but for a baseline JPEG whose head is right and whose scan goes up to its end marker:
    decoders read any of those), all (every pixel is decoded), off (nothing but emptiness).
    """
    if not data:
        return "empty"
    if check == "off":
        return None
    try:
        if check == "sample" and is_whole_jpeg(data):
            refuse_odd_head(data)
            return None
        with open_picture(data) as image, decoding("damaged pixels"):
            image.load()
            if image.mode not in ("L", "RGB"):
                image.convert("RGB")  # as training does, for which not every mode and palette will do
    except BrokenPictureError as error:
        return said(data, error)
    return None


def is_whole_jpeg(data: bytes) -> bool:
    return is_jpeg(data) and is_whole(data) and not is_too_large(data)


def refuse_odd_head(jpeg: bytes) -> None:
    """Raises BrokenPictureError for a JPEG that decoders read, and Pillow does not open."""
    if has_odd_head(jpeg):
        open_picture(jpeg).close()


def said(data: bytes, error: BrokenPictureError) -> str:
    """What is wrong with a picture, by the bytes where they say more than their decoder did."""
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
