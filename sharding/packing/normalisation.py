"""Pictures that training cannot decode by the crop, or that lie on their side, become JPEGs that it can (--normalise).

A picture that is no JPEG, or one that cannot be tiled (CMYK, arithmetic coding, ...), is decoded whole, by Pillow, for
every crop. It becomes a JPEG of quality 95 with all of its chroma, of the 8-bit grey or RGB that Pillow makes of it,
which is what the loader would show: without alpha, of the first frame, 16 bits as Pillow cuts them. The loss of that
one encoding is the price, also where the source had none: plain PNGs are as slow as others.

One thing changes what training sees, and is meant to: a picture whose Exif says that it is turned is stored upright,
for the loader turns none.
"""

import io

from PIL import Image

from tarn.sharding.jpeg.structure import Reason
from tarn.sharding.packing.inspection import is_jpeg
from tarn.sharding.pillow import BrokenPictureError, decoding, open_picture, orientation, upright
from tarn.sharding.segments import may_be_turned

QUALITY = 95
LONGEST_PROFILE = 255 * 65_519  # bytes: so many segments of so many each
SPACES = {"L": b"GRAY", "RGB": b"RGB "}  # ICC's words for the colours of a mode
LONGEST = 65_500  # px of a side that libjpeg writes and reads (JPEG_MAX_DIMENSION)
FAST = (Reason.OK, Reason.NO_GAIN, Reason.TOO_LARGE)  # tiled, of a single tile, or more than JPEGs may be


class TooLongError(BrokenPictureError):
    """A picture whose pixels are right, with a side that no JPEG can have: it is not encoded."""


def is_slow(reason: Reason) -> bool:
    """Of a JPEG, by what tiling said."""
    return reason not in FAST


def reason_to_normalise(data: bytes) -> str | None:
    """Why a picture is to be normalised, as far as this can be told before it is tiled; None where it is not.

    Raises BrokenPictureError.
    """
    if is_jpeg(data):
        return "turned by Exif" if may_be_turned(data) and orientation(data) != 1 else None
    with open_picture(data) as image:
        deep = image.format == "PNG" and data[24] == 16
        return f"{image.format}{' of 16 bits' if deep else ''}"


def normalised(data: bytes) -> bytes:
    """A JPEG of the picture, upright, in grey where it has no colours. Raises BrokenPictureError."""
    with open_picture(data) as opened, decoding("damaged pixels"):
        image = upright(opened)
        return encode(image.convert("L") if image.mode in ("1", "LA") else image, QUALITY, "4:4:4")


def encode(
    image: Image.Image,
    quality: int,
    subsampling: str,
    size: tuple[int, int] | None = None,
    exif: Image.Exif | None = None,
) -> bytes:
    """A JPEG in grey or RGB. size: width and height in px that it is made smaller to. An ICC profile is kept, but of
    colours that were converted; comments are not."""
    width, height = size or image.size
    if max(width, height) > LONGEST:
        raise TooLongError(f"too long for a JPEG ({width} x {height} px, {LONGEST:,} a side at most)")
    plain = image if image.mode in ("L", "RGB") else image.convert("RGB")
    if size is not None:
        plain = plain.resize(size, Image.Resampling.LANCZOS)
    out = io.BytesIO()
    plain.save(
        out,
        "JPEG",
        quality=quality,
        subsampling=subsampling,
        icc_profile=profile_of(image, plain.mode),
        comment=b"",
        exif=exif.tobytes() if exif is not None else b"",
    )
    return out.getvalue()


def profile_of(image: Image.Image, mode: str) -> bytes | None:
    """Its ICC profile, where a JPEG of that mode, L or RGB, can have it: not one of other colours, by the word in its
    head (ICC.1, 7.2.6), nor what a file only calls so."""
    profile = image.info.get("icc_profile")
    if image.mode == "CMYK" or not isinstance(profile, bytes) or len(profile) > LONGEST_PROFILE:
        return None
    is_sound = profile[36:40] == b"acsp"
    return None if is_sound and profile[16:20] != SPACES[mode] else profile
