"""What is done to a picture's bytes before they go into a shard: checked, made smaller where asked for, tiled.

Tiling changes no pixel (see jpeg/tile.c). Whether that holds is proven by decoding both, for all pictures or for a
sample of them that their keys choose.
"""

import io
import zlib
from dataclasses import dataclass

import PIL
from PIL import Image

from tarn.sharding.errors import TarnError, UsageError
from tarn.sharding.jpeg.structure import SIDE, Reason, tile
from tarn.sharding.packing.inspection import CHECKS, damage, is_jpeg
from tarn.sharding.pillow import BrokenPictureError, decoding, open_picture
from tarn.sharding.sources import Picture

PROVEN = 64  # one picture in so many, where a sample is proven
ROTATION = 0x0112  # Exif's tag of the orientation


@dataclass(frozen=True, slots=True, kw_only=True)
class Preparation:
    """tile: px that a tile is wide, 0 to keep the bit stream as it is. check: see inspection.damage.

    max_side, short_side: px beyond which a picture is made smaller. quality: of JPEG, 1 to 95, at which every picture
    is encoded anew, with half the chroma; 90 where only a side is given.
    """

    tile: int = SIDE
    check: str = "sample"
    max_side: int | None = None
    short_side: int | None = None
    quality: int | None = None

    def __post_init__(self) -> None:
        if self.check not in CHECKS:
            raise UsageError(f"--check={self.check!r} is unknown: choose one of {', '.join(CHECKS)}.")
        for name in ("max_side", "short_side"):
            if (getattr(self, name) or 8) < 8:
                raise UsageError(f"--{name.replace('_', '-')}={getattr(self, name)} must be at least 8 px.")
        if self.quality is not None and not 1 <= self.quality <= 95:
            raise UsageError(f"--quality={self.quality} must be between 1 and 95.")

    @property
    def encodes(self) -> bool:
        return any((self.max_side, self.short_side, self.quality))

    def describe(self) -> dict[str, str | int]:
        """What decides the bytes."""
        told: dict[str, str | int] = {"tile": self.tile}
        if self.encodes:
            told |= {"max_side": self.max_side or 0, "short_side": self.short_side or 0, "quality": self.quality or 90}
            told["encoder"] = f"Pillow {PIL.__version__}"
        return told


@dataclass(frozen=True, slots=True)
class Prepared:
    """left: why a picture was not tiled, None where it was."""

    data: bytes
    left: str | None


class DamagedError(ValueError):
    """What is wrong with a picture, in words. lasting: with its bytes; otherwise with the disk, or it was changed while
    it was packed."""

    def __init__(self, problem: str, lasting: bool = True) -> None:
        super().__init__(problem)
        self.lasting = lasting


def prepare(data: bytes, picture: Picture, how: Preparation) -> Prepared:
    """Raises DamagedError for a picture that cannot be read, TarnError where tiling changed a pixel."""
    problem = damage(data, how.check)
    if problem is not None:
        raise DamagedError(problem)
    if how.encodes:
        try:
            data = encode_smaller(data, how)
        except BrokenPictureError as error:
            raise DamagedError(str(error)) from error
    if not how.tile:
        return Prepared(data, "not asked for")
    if not is_jpeg(data):
        return Prepared(data, Reason.NOT_JPEG.words)
    tiled, reason = tile(data, how.tile)
    if reason == Reason.OK:
        if how.check == "all" or (how.check == "sample" and zlib.crc32(picture.key.encode()) % PROVEN == 0):
            prove(data, tiled, picture)
        return Prepared(tiled, None)
    if reason == Reason.DAMAGED and how.check != "off" and (problem := damage(data, "all")) is not None:
        raise DamagedError(problem)
    return Prepared(data, reason.words)


def prove(before: bytes, after: bytes, picture: Picture) -> None:
    with Image.open(io.BytesIO(before)) as old, Image.open(io.BytesIO(after)) as new:
        same = (old.mode, old.size) == (new.mode, new.size) and old.tobytes() == new.tobytes()
    if not same:
        raise TarnError(
            f"{picture.place}: tiling would change its pixels; pack with --no-tile, and report the picture."
        )


def encode_smaller(data: bytes, how: Preparation) -> bytes:
    """A JPEG no larger than asked for, or the bytes as they were where that gains nothing.

    Raises BrokenPictureError.
    """
    with open_picture(data) as opened, decoding("damaged pixels"):
        profile, turned = opened.info.get("icc_profile"), opened.getexif().get(ROTATION, 1)
        width, height = opened.size
        scale = min(
            1.0,
            how.max_side / max(width, height) if how.max_side else 1.0,
            how.short_side / min(width, height) if how.short_side else 1.0,
        )
        image = opened if opened.mode in ("L", "RGB") else opened.convert("RGB")
        if image.mode != opened.mode and opened.mode == "CMYK":
            profile = None  # it describes the colours that were
        if scale < 1:
            size = (max(1, round(width * scale)), max(1, round(height * scale)))
            image = image.resize(size, Image.Resampling.LANCZOS)
        exif = Image.Exif()
        if turned != 1:
            exif[ROTATION] = turned
        out = io.BytesIO()
        image.save(
            out, "JPEG", quality=how.quality or 90, subsampling="4:2:0", icc_profile=profile, exif=exif.tobytes()
        )
    return data if scale == 1 and is_jpeg(data) and len(data) <= out.tell() else out.getvalue()
