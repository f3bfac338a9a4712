import io
import struct
import zlib

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from support.jpegs import by_pillow, jpeg, pixels, segments, texture
from tarn.sharding.jpeg.structure import Reason, tile
from tarn.sharding.packing.preparation import DamagedError, Preparation, prepare
from tarn.sharding.sources import Picture
from tarn.sharding.sources.place import File

PICTURE = Picture("key", File("some/", "picture.JPEG"), 0, 0)
NORMALISE = Preparation(normalise=True)


def smooth(width: int, height: int, mode: str = "RGB") -> Image.Image:
    """A picture that a JPEG of quality 95 shows almost as it is."""
    small = Image.fromarray(texture(6, 5))
    return small.resize((width, height), Image.Resampling.BICUBIC).convert(mode)


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def turned(orientation: int, **options: object) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return saved(smooth(200, 120), "JPEG", exif=exif.tobytes(), **options)


def png_of_16_bits(image: NDArray[np.uint8]) -> bytes:
    """RGB: Pillow writes no such PNG (PNG 1.2, section 4)."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    height, width, _ = image.shape
    rows = b"".join(b"\0" + (row.astype(">u2") * 257).tobytes() for row in image)
    head = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        chunk(*it) for it in ((b"IHDR", head), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    )


def difference(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    assert one.shape == other.shape
    return float(np.abs(one.astype(int) - other.astype(int)).mean())


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (saved(smooth(200, 120), "PNG"), "PNG"),
        (saved(smooth(200, 120, "RGBA"), "PNG"), "PNG"),
        (saved(smooth(200, 120).quantize(), "PNG"), "PNG"),
        (saved(smooth(200, 120, "LA"), "PNG"), "PNG"),
        (png_of_16_bits(np.asarray(smooth(200, 120))), "PNG of 16 bits"),
        (saved(smooth(200, 120), "GIF"), "GIF"),
        (saved(smooth(200, 120), "WEBP", quality=90), "WEBP"),
        (saved(smooth(200, 120), "WEBP", lossless=True), "WEBP"),
        (saved(smooth(200, 120), "TIFF"), "TIFF"),
        (saved(smooth(200, 120), "BMP"), "BMP"),
        (saved(smooth(200, 120, "CMYK"), "JPEG", quality=95), Reason.COMPONENTS.words),
        (saved(smooth(200, 120, "CMYK"), "JPEG", quality=95, progressive=True), Reason.COMPONENTS.words),
    ],
)
def test_whatever_is_decoded_whole_becomes_a_tiled_jpeg_of_the_pixels_that_training_would_see(
    data: bytes, reason: str
) -> None:
    prepared = prepare(data, PICTURE, NORMALISE)
    assert (prepared.left, prepared.normalised) == (None, reason)
    assert prepared.data[:2] == b"\xff\xd8"
    assert difference(pixels(prepared.data), pixels(data)) < 3


@pytest.mark.parametrize("mode", ["LA", "1", "L"])
def test_what_has_no_colours_becomes_a_grey_jpeg(mode: str) -> None:
    with Image.open(io.BytesIO(prepare(saved(smooth(200, 120, mode), "PNG"), PICTURE, NORMALISE).data)) as image:
        assert image.mode == "L"


@pytest.mark.parametrize("orientation", [2, 3, 4, 5, 6, 7, 8])
def test_a_picture_that_exif_turns_is_stored_upright_and_says_so_no_more(orientation: int) -> None:
    data = turned(orientation, quality=97)
    prepared = prepare(data, PICTURE, NORMALISE)
    assert (prepared.left, prepared.normalised) == (None, "turned by Exif")
    assert 0xE1 not in dict(segments(prepared.data))
    ways = {2: lambda a: a[:, ::-1], 3: lambda a: a[::-1, ::-1], 4: lambda a: a[::-1], 5: lambda a: a.swapaxes(0, 1)}
    ways |= {6: lambda a: np.rot90(a, 3), 7: lambda a: a[::-1, ::-1].swapaxes(0, 1), 8: np.rot90}
    assert difference(pixels(prepared.data), ways[orientation](pixels(data))) < 2


def test_a_picture_that_xmp_turns_is_stored_upright_too() -> None:
    plain, packet = saved(smooth(200, 120), "JPEG", quality=97), b'<x:xmpmeta tiff:Orientation="6"/>'
    data = saved(smooth(200, 120), "JPEG", quality=97, xmp=packet)
    prepared = prepare(data, PICTURE, NORMALISE)
    assert prepared.normalised == "turned by Exif"
    assert 0xE1 not in dict(segments(prepared.data))
    assert difference(pixels(prepared.data), np.rot90(pixels(plain), 3)) < 2


def test_what_is_decoded_by_the_crop_already_is_not_encoded_anew() -> None:
    for data in (jpeg(200, 120), jpeg(200, 120, "Gray"), turned(1)):
        prepared = prepare(data, PICTURE, NORMALISE)
        assert (prepared.data, prepared.normalised) == (tile(data)[0], None)
    progressive = prepare(by_pillow(200, 120, progressive=True), PICTURE, NORMALISE)
    assert (progressive.data, progressive.normalised) == (tile(by_pillow(200, 120))[0], None)
    assert prepare(jpeg(8, 8), PICTURE, NORMALISE).data == jpeg(8, 8)


def test_nothing_is_normalised_where_it_is_not_asked_for() -> None:
    data = turned(6)
    assert prepare(data, PICTURE, Preparation()).data == tile(data)[0]
    assert prepare(saved(smooth(200, 120), "PNG"), PICTURE, Preparation()).normalised is None


def test_a_jpeg_that_is_damaged_but_bears_decoding_shows_what_training_would_see() -> None:
    data = bytearray(saved(smooth(200, 120), "JPEG", quality=95))
    data[len(data) // 2 : len(data) // 2 + 4] = b"\xff\xd9\xff\xd9"
    prepared = prepare(bytes(data), PICTURE, NORMALISE)
    assert prepared.normalised == Reason.DAMAGED.words
    assert difference(pixels(prepared.data), pixels(bytes(data))) < 3


def test_a_picture_that_no_decoder_reads_is_damaged_also_where_nothing_is_checked() -> None:
    with pytest.raises(DamagedError):
        prepare(b"GIF89a nothing", PICTURE, Preparation(normalise=True, check="off"))


def test_smaller_and_normalised_is_one_encoding_and_upright() -> None:
    prepared = prepare(turned(6), PICTURE, Preparation(normalise=True, max_side=100))
    with Image.open(io.BytesIO(prepared.data)) as image:
        assert image.size == (60, 100)
        assert image.getexif().get(0x0112) is None
    assert prepared.normalised == "turned by Exif"


def test_an_icc_profile_stays_but_not_that_of_converted_colours() -> None:
    profile = b"colours" * 30
    for mode, kept in (("RGB", profile), ("CMYK", None)):
        data = saved(smooth(200, 120, mode), "TIFF", icc_profile=profile)
        with Image.open(io.BytesIO(prepare(data, PICTURE, NORMALISE).data)) as image:
            assert image.info.get("icc_profile") == kept


def test_normalising_is_part_of_how_a_split_was_packed() -> None:
    assert "normalise" in NORMALISE.describe()
    assert "normalise" not in Preparation().describe()
