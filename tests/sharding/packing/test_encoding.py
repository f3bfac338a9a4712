"""What is encoded anew, by --max-side, --short-side, --quality: broken pixels, broken Exif, turned pictures, and which
originals stay."""

import io

import numpy as np
import pytest
from PIL import Image, PngImagePlugin, TiffImagePlugin

from support.jpegs import by_pillow, jpeg, pixels
from tarn.sharding.jpeg.structure import Reason, look, tile
from tarn.sharding.packing.preparation import DamagedError, Preparation, prepare
from tarn.sharding.pillow import orientation
from tarn.sharding.sources import Picture
from tarn.sharding.sources.place import File

PICTURE = Picture("key", File("some/", "picture"), 0, 0)
WAYS = {
    "max side": Preparation(max_side=100),
    "short side": Preparation(short_side=75),
    "quality": Preparation(quality=70),
    "quality, not tiled": Preparation(quality=70, tile=0),
    "normalised": Preparation(normalise=True),
}
ways = pytest.mark.parametrize("how", WAYS.values(), ids=WAYS)
BROKEN_EXIF = [
    b"garbage",
    b"II*\0\xff\xff\xff\xff",
    b"MM\0*\0\0\0\x08\xff\xff\x01\x12\0\3",
    b"II*\0\x08\0\0\0\x01\0\x12\1\2",
]


def exif_of(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


@ways
@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("JPEG", {}),
        ("JPEG", {"progressive": True}),
        ("PNG", {}),
        ("GIF", {}),
        ("BMP", {}),
        ("WEBP", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
    ],
)
def test_broken_pixels_are_one_damaged_picture(how: Preparation, kind: str, options: dict[str, object]) -> None:
    data = by_pillow(200, 150, "P" if kind == "GIF" else "RGB", kind, **options)
    prepare(data, PICTURE, how)
    with pytest.raises(DamagedError) as caught:
        prepare(data[: len(data) // 2], PICTURE, how)
    assert caught.value.lasting
    assert any(word in str(caught.value) for word in ("cut off before", "damaged pixels (", "not a readable picture ("))


@ways
@pytest.mark.filterwarnings("ignore:Corrupt EXIF")  # from Pillow itself, which looks at what was packed
@pytest.mark.parametrize("body", BROKEN_EXIF)
def test_broken_exif_harms_no_picture(how: Preparation, body: bytes) -> None:
    plain, inside = jpeg(200, 150), b"Exif\0\0" + body
    data = plain[:2] + b"\xff\xe1" + (2 + len(inside)).to_bytes(2, "big") + inside + plain[2:]
    assert orientation(data) == 1
    assert np.array_equal(pixels(prepare(data, PICTURE, how).data), pixels(prepare(plain, PICTURE, how).data))


@ways
@pytest.mark.parametrize("number", range(2, 9))
def test_a_tiff_that_its_decoder_turns_is_not_turned_again(how: Preparation, number: int) -> None:
    out = io.BytesIO()
    plain = opened(jpeg(200, 150)).resize((8, 6)).resize((200, 150), Image.Resampling.BICUBIC)
    plain.save(out, "TIFF", exif=exif_of(number))
    data = out.getvalue()
    image = opened(prepare(data, PICTURE, how).data)
    assert image.getexif().get(0x0112, 1) == 1
    seen = opened(data).convert("RGB").resize(image.size, Image.Resampling.LANCZOS)
    assert np.abs(np.asarray(image).astype(int) - np.asarray(seen)).mean() < 4


@pytest.mark.parametrize("number", range(2, 9))
def test_a_jpeg_made_smaller_is_turned_as_it_was(number: int) -> None:
    image = opened(prepare(by_pillow(200, 150, exif=exif_of(number)), PICTURE, WAYS["max side"]).data)
    assert (image.size, image.getexif()[0x0112]) == ((100, 75), number)


@pytest.mark.parametrize("how", [WAYS["quality"], WAYS["normalised"]], ids=["quality", "normalised"])
def test_what_is_too_long_for_a_jpeg_stays_as_it_is(how: Preparation) -> None:
    out = io.BytesIO()
    Image.new("RGB", (70_000, 2)).save(out, "PNG")
    kept = prepare(out.getvalue(), PICTURE, how)
    assert (kept.data, kept.left, kept.normalised) == (out.getvalue(), "no JPEG", None)
    with pytest.raises(DamagedError):
        prepare(out.getvalue()[:-60], PICTURE, how)
    assert prepare(out.getvalue(), PICTURE, Preparation()).data == out.getvalue()
    assert opened(prepare(out.getvalue(), PICTURE, WAYS["max side"]).data).size == (100, 1)


def test_a_smaller_original_stays_where_training_decodes_it_by_the_crop() -> None:
    for data in (by_pillow(200, 150, quality=20), by_pillow(200, 150, quality=20, progressive=True)):
        assert prepare(data, PICTURE, WAYS["quality"]).data == tile(data)[0]
    plain = by_pillow(200, 150, quality=20)
    assert prepare(plain, PICTURE, WAYS["quality, not tiled"]).data == plain


@pytest.mark.parametrize(("mode", "tiled"), [("CMYK", 40), ("RGB", 0)])
def test_a_smaller_original_does_not_stay_where_it_would_be_slow(mode: str, tiled: int) -> None:
    data = by_pillow(200, 150, mode, quality=5, progressive=True)
    prepared = prepare(data, PICTURE, Preparation(quality=90, tile=tiled))
    assert len(prepared.data) > len(data)
    assert look(prepared.data) == Reason.OK
    assert prepared.baseline is None


def saved(mode: str, kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    Image.new(mode, (200, 150)).save(out, kind, **options)
    return out.getvalue()


def odd_metadata() -> dict[str, bytes]:
    named, tagged = PngImagePlugin.PngInfo(), TiffImagePlugin.ImageFileDirectory_v2()
    for word in ("icc_profile", "comment", "exif", "dpi", "xmp"):
        named.add_text(word, "words")
    tagged[34675], tagged.tagtype[34675] = "words", 2
    return {
        "texts of a PNG called as what Pillow reads": saved("RGB", "PNG", pnginfo=named),
        "a profile of a TIFF that is a text": saved("RGB", "TIFF", tiffinfo=tagged),
        "a GIF's long comment": saved("P", "GIF", comment=b"words" * 20_000),
        "a profile that no JPEG has room for": saved("RGB", "WEBP", icc_profile=bytes(2**24)),
    }


@ways
@pytest.mark.parametrize("name", odd_metadata())
def test_odd_metadata_harm_no_picture(how: Preparation, name: str) -> None:
    prepared = prepare(odd_metadata()[name], PICTURE, how)
    assert len(prepared.data) < 2**16
    with opened(prepared.data) as image:
        assert (image.format, image.info.get("comment"), image.info.get("icc_profile")) == ("JPEG", None, None)


@ways
@pytest.mark.parametrize("mode", ["L", "LA", "1", "RGB", "RGBA", "P"])
def test_a_profile_stays_where_it_is_of_the_colours_that_the_jpeg_has(how: Preparation, mode: str) -> None:
    kept = {}
    for space in (b"GRAY", b"RGB ", b"CMYK"):
        profile = bytes(16) + space + bytes(16) + b"acsp" + bytes(80)
        with opened(prepare(saved(mode, "PNG", icc_profile=profile), PICTURE, how).data) as image:
            kept[space] = image.info.get("icc_profile") == profile
            assert kept[space] or "icc_profile" not in image.info
    assert kept == {b"GRAY": image.mode == "L", b"RGB ": image.mode == "RGB", b"CMYK": False}


def test_a_png_without_its_last_chunk_that_is_too_long_for_a_jpeg_stays_as_it_is() -> None:
    out = io.BytesIO()
    Image.new("L", (1, 65_501)).save(out, "PNG")
    data = out.getvalue()[:-12]
    assert prepare(data, PICTURE, WAYS["normalised"]).data == data
