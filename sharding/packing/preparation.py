"""What is done to a picture's bytes before they go into a shard: checked, made smaller or normalised where asked for,
tiled, progressive ones being made baseline.

Tiling changes no pixel (see jpeg/tile.c). Whether that holds is proven by decoding both, for all pictures or for a
sample of them that their keys choose.
"""

import io
import zlib
from dataclasses import dataclass

import PIL
from PIL import Image

from tarn.sharding.errors import TarnError, UsageError
from tarn.sharding.jpeg.structure import SIDE, Reason, look, tile
from tarn.sharding.packing.inspection import CHECKS, damage, is_jpeg, is_too_large, said
from tarn.sharding.packing.normalisation import FAST, QUALITY, encode, is_slow, normalised, reason_to_normalise
from tarn.sharding.pillow import ROTATION, BrokenPictureError, decoding, open_picture, orientation_of, upright
from tarn.sharding.sources import Picture

LEAST_SIDE = 8  # px that a picture may be made as small as
PROVEN = 64  # one picture in so many, where a sample is proven
SEVERAL_SCANS = {Reason.PROGRESSIVE: "progressive", Reason.SCANS: "several scans"}  # of what becomes baseline


@dataclass(frozen=True, slots=True, kw_only=True)
class Preparation:
    """tile: px that a tile is wide, 0 to keep the bit stream as it is. check: see inspection.damage.

    max_side, short_side: px beyond which a picture is made smaller. quality: of JPEG, 1 to 95, at which every picture
    is encoded anew, with half the chroma; 90 where only a side is given. normalise: see normalisation.py.
    """

    tile: int = SIDE
    check: str = "sample"
    max_side: int | None = None
    short_side: int | None = None
    quality: int | None = None
    normalise: bool = False

    def __post_init__(self) -> None:
        if self.check not in CHECKS:
            raise UsageError(f"--check={self.check!r} is unknown: choose one of {', '.join(CHECKS)}.")
        for name in ("max_side", "short_side"):
            if (px := getattr(self, name)) is not None and px < LEAST_SIDE:
                raise UsageError(f"--{name.replace('_', '-')}={px} must be at least {LEAST_SIDE} px.")
        if self.quality is not None and not 1 <= self.quality <= 95:
            raise UsageError(f"--quality={self.quality} must be between 1 and 95.")

    @property
    def encodes(self) -> bool:
        return any((self.max_side, self.short_side, self.quality))

    @property
    def light(self) -> bool:
        """Pictures are kept as they are, so that the disk and the checksums take the time."""
        return not (self.tile or self.encodes or self.normalise)

    @property
    def moves_pixels(self) -> bool:
        """A picture is made smaller, or turned."""
        return any((self.max_side, self.short_side, self.normalise))

    def describe(self) -> dict[str, str | int]:
        """What decides the bytes."""
        told: dict[str, str | int] = {"tile": self.tile}
        if self.encodes:
            told |= {"max_side": self.max_side or 0, "short_side": self.short_side or 0, "quality": self.quality or 90}
        if self.normalise:
            told["normalise"] = f"JPEG of quality {QUALITY}"
        if self.encodes or self.normalise:
            told["encoder"] = f"Pillow {PIL.__version__}"
        return told


@dataclass(frozen=True, slots=True)
class Prepared:
    """left: why a picture was not tiled, None where it was. baseline: what it was before it was made a baseline JPEG
    without loss. normalised: why it was."""

    data: bytes
    left: str | None
    baseline: str | None = None
    normalised: str | None = None


class DamagedError(ValueError):
    """What is wrong with a picture, in words. lasting: with its bytes; otherwise with the disk, or it was changed while
    it was packed."""

    def __init__(self, problem: str, lasting: bool = True) -> None:
        super().__init__(problem)
        self.lasting = lasting


def prepare(data: bytes, picture: Picture, how: Preparation) -> Prepared:
    """Raises DamagedError for a picture that cannot be read, TarnError where tiling changed a pixel."""
    if not data or how.check != "sample" or not is_read_later(data, how):
        refuse_damaged(data, how.check)
    try:
        return prepare_whole(data, picture, how)
    except BrokenPictureError as error:
        raise DamagedError(said(data, error)) from error


def refuse_damaged(data: bytes, check: str) -> None:
    """Raises DamagedError."""
    if (problem := damage(data, check)) is not None:
        raise DamagedError(problem)


def is_read_later(data: bytes, how: Preparation) -> bool:
    """Whether all of a picture is read by what is done to it, so that it need not be decoded to look whether it is
    whole."""
    if how.encodes or (how.normalise and not is_jpeg(data)):
        return True
    return bool(how.tile) and is_jpeg(data) and not is_too_large(data)


def prepare_whole(data: bytes, picture: Picture, how: Preparation) -> Prepared:
    """Raises BrokenPictureError beside the errors of prepare."""
    why = reason_to_normalise(data) if how.normalise else None
    if how.encodes:
        data = encode_smaller(data, how, why is not None)
    elif why is not None:
        data = normalised(data)
    if not how.tile:
        return Prepared(data, "not asked for", normalised=why)
    if not is_jpeg(data):
        return Prepared(data, Reason.NOT_JPEG.words, normalised=why)
    result, reason = tile(data, how.tile)
    if reason != Reason.OK and result == data and how.check == "sample":  # not all of it was read
        refuse_damaged(data, "all")
    if how.normalise and is_slow(reason):
        why, data = reason.words, normalised(data)
        result, reason = tile(data, how.tile)
    if result != data and (how.check == "all" or (how.check == "sample" and is_proven(picture))):
        prove(data, result, picture)
    was = SEVERAL_SCANS.get(look(data)) if result != data else None
    return Prepared(result, None if reason == Reason.OK else reason.words, was, why)


def is_proven(picture: Picture) -> bool:
    return zlib.crc32(picture.key.encode()) % PROVEN == 0


def prove(before: bytes, after: bytes, picture: Picture) -> None:
    with decoding("damaged pixels"), Image.open(io.BytesIO(before)) as old, Image.open(io.BytesIO(after)) as new:
        same = (old.mode, old.size) == (new.mode, new.size) and old.tobytes() == new.tobytes()
    if not same:
        raise TarnError(
            f"{picture.place}: tiling would change its pixels; pack with --no-tile, and report the picture."
        )


def encode_smaller(data: bytes, how: Preparation, normalise: bool = False) -> bytes:
    """A JPEG no larger than asked for, or the bytes as they were where that gains nothing. normalise: it is to be
    upright, and encoded anew in any case.

    Raises BrokenPictureError.
    """
    with open_picture(data) as opened, decoding("damaged pixels"):
        opened.load()  # which turns a TIFF
        image = upright(opened) if normalise else opened
        turned = orientation_of(image)
        width, height = image.size
        scale = min(
            1.0,
            how.max_side / max(width, height) if how.max_side else 1.0,
            how.short_side / min(width, height) if how.short_side else 1.0,
        )
        size = (max(1, round(width * scale)), max(1, round(height * scale))) if scale < 1 else None
        exif = Image.Exif()
        if turned != 1 and not normalise:
            exif[ROTATION] = turned
        out = encode(image, how.quality or 90, "4:2:0", size, exif)
    gains = normalise or scale < 1 or not is_jpeg(data) or len(data) > len(out)
    return out if gains or not stays_fast(data, len(out), how) else data


def stays_fast(jpeg: bytes, most: int, how: Preparation) -> bool:
    """Whether a picture as it is becomes one that training decodes by the crop, in no more than so many bytes."""
    if not how.tile:
        return look(jpeg) == Reason.OK
    result, reason = tile(jpeg, how.tile)
    return reason in FAST and len(result) <= most
