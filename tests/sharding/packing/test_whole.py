"""Whole pictures pass and broken ones do not, by what Pillow makes of them, with and without tiling."""

import io
import struct

import numpy as np
import pytest
from PIL import Image

from support.jpegs import by_pillow, jpeg, pixels
from tarn.sharding.jpeg.structure import Reason, is_whole, tile
from tarn.sharding.packing.preparation import DamagedError, Preparation, prepare
from tarn.sharding.pillow import BrokenPictureError
from tarn.sharding.sources import Picture
from tarn.sharding.sources.place import File
from tarn.training.pixels.decode import PictureDecoder
from tarn.training.pixels.pictures import decode_eval
from tarn.training.pixels.preprocessing import Preprocessing

PICTURE = Picture("key", File("some/", "picture"), 0, 0)
END, RST, FILL = b"\xff\xd9", b"\xff\xd3", b"\xff"
TILED, PLAIN = Preparation(), Preparation(tile=0)
ways = pytest.mark.parametrize("how", [TILED, PLAIN], ids=["tiled", "as it is"])
KINDS = {
    "baseline": {},
    "restart markers": {"restart_marker_blocks": 3},
    "progressive": {"progressive": True},
    "progressive with restart markers": {"progressive": True, "restart_marker_blocks": 3},
}


def readable(data: bytes) -> bool:
    """By Pillow alone, as training asks for a picture."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            image.convert("RGB")
    except Exception:
        return False
    return True


def passes(data: bytes, how: Preparation) -> bool:
    try:
        prepare(data, PICTURE, how)
    except DamagedError:
        return False
    return True


def with_thumbnail(data: bytes) -> bytes:
    """A JPEG whose Exif holds another one, with an end marker of its own."""
    inside = b"Exif\0\0" + jpeg(32, 24)
    return data[:2] + b"\xff\xe1" + struct.pack(">H", 2 + len(inside)) + inside + data[2:]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "end",
    [FILL + END, FILL * 5 + END, RST + END, FILL + RST + FILL * 2 + END, END + bytes(300_000), END + b"\0x" * 99_000],
    ids=["fill byte", "fill bytes", "RST", "fill bytes and RST", "trailer", "another trailer"],
)
def test_what_the_standard_allows_before_the_end_and_cameras_put_behind_it_harms_no_picture(
    kind: str, end: bytes
) -> None:
    plain = by_pillow(200, 150, **KINDS[kind])
    data = plain[:-2] + end
    for how in (TILED, PLAIN, Preparation(check="all")):
        prepared = prepare(data, PICTURE, how)
        assert (prepared.left is None) == bool(how.tile)
        assert np.array_equal(pixels(prepared.data), pixels(plain))
    assert prepare(data, PICTURE, TILED).data == prepare(plain, PICTURE, TILED).data
    assert np.array_equal(decode_eval(data, 100, 90), decode_eval(plain, 100, 90))


@pytest.mark.parametrize("kind", ["restart markers", "progressive with restart markers"])
def test_fill_bytes_before_every_restart_marker_change_nothing(kind: str) -> None:
    plain = by_pillow(200, 150, **KINDS[kind])
    data = plain
    for number in range(8):
        data = data.replace(bytes((0xFF, 0xD0 + number)), bytes((0xFF, 0xFF, 0xFF, 0xD0 + number)))
    assert len(data) > len(plain) + 20
    assert tile(data) == tile(plain)
    assert tile(data)[1] == Reason.OK


@ways
@pytest.mark.parametrize("kind", KINDS)
def test_the_end_of_a_thumbnail_or_of_a_trailer_does_not_stand_for_the_pictures(kind: str, how: Preparation) -> None:
    data = with_thumbnail(by_pillow(200, 150, **KINDS[kind]))
    assert passes(data, how)
    scan = data.rindex(b"\xff\xda", 0, len(data) // 2)
    for cut in (scan + 40, len(data) // 2, len(data) - 9):
        with pytest.raises(DamagedError, match="cut off before its end marker"):
            prepare(data[:cut], PICTURE, how)
        with pytest.raises(DamagedError, match="cut off before its end marker"):
            prepare(data[:cut] + bytes(len(data) - cut), PICTURE, how)


@ways
@pytest.mark.parametrize(
    ("mode", "kind", "options"),
    [
        ("P", "GIF", {}),
        ("RGB", "BMP", {}),
        ("L", "PPM", {}),
        ("RGB", "TIFF", {}),
        ("RGB", "TIFF", {"compression": "tiff_lzw"}),
        ("RGB", "TIFF", {"compression": "jpeg"}),
        ("RGB", "PNG", {}),
        ("1", "PNG", {}),
        ("I;16", "PNG", {}),
        ("RGB", "WEBP", {}),
        ("RGB", "WEBP", {"lossless": True}),
        ("RGB", "AVIF", {}),
        ("RGB", "JPEG2000", {}),
        ("RGB", "JPEG", {"progressive": True}),
        ("CMYK", "JPEG", {}),
    ],
)
def test_wherever_a_picture_is_cut_off_packing_takes_what_pillow_reads_and_nothing_else(
    mode: str, kind: str, options: dict[str, object], how: Preparation
) -> None:
    if mode == "I;16":
        out = io.BytesIO()
        Image.fromarray(np.arange(48 * 36, dtype=np.uint16).reshape(36, 48) * 9).save(out, "PNG")
        data = out.getvalue()
    else:
        data = by_pillow(48, 36, mode, kind, **options)
    assert passes(data, how)
    told = {len(data) * part // 12: readable(data[: len(data) * part // 12]) for part in range(1, 12)}
    assert not all(told.values())
    assert {cut: passes(data[:cut], how) for cut in told} == told


@ways
def test_a_png_is_whole_without_its_last_chunk_and_with_much_behind_it(how: Preparation) -> None:
    data = by_pillow(60, 40, kind="PNG")
    for whole in (data + bytes(200_000), data[:-12]):
        assert readable(whole)
        assert prepare(whole, PICTURE, how).data == whole


@ways
@pytest.mark.parametrize("kind", KINDS)
def test_a_table_with_a_symbol_that_libjpeg_refuses_unread_is_broken(kind: str, how: Preparation) -> None:
    data = bytearray(by_pillow(200, 150, **KINDS[kind]))
    at = data.index(b"\xff\xc4\0") + 5  # of the first DC table
    data[at + 16 + sum(data[at : at + 16]) - 1] = 0x48
    assert readable(bytes(data)) == passes(bytes(data), how)


@ways
def test_a_baseline_jpeg_with_tables_that_are_no_code_is_broken(how: Preparation) -> None:
    data = bytearray(jpeg(200, 150))
    at = data.index(b"\xff\xc4") + 5
    data[at : at + 2] = b"\xff\xff"  # 255 codes of one bit
    with pytest.raises(DamagedError):
        prepare(bytes(data), PICTURE, how)


@ways
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("marker", [0xC8, 0xDE, 0xDF, *range(0xF0, 0xFF)])
def test_a_segment_passes_where_libjpeg_passes_over_it(marker: int, kind: str, how: Preparation) -> None:
    data = by_pillow(64, 48, **KINDS[kind])
    scan = data.index(b"\xff\xda")
    given = data[:scan] + bytes((0xFF, marker)) + b"\0\4ab" + data[scan:]
    assert passes(given, how) == readable(given) == (marker == 0xFE)


@ways
@pytest.mark.parametrize("behind", [b"\xff\xc0\0\4\0\0", b"\xff\xdb\0\3\xff", b"\xff\xd8"], ids=["SOF", "DQT", "SOI"])
def test_what_libjpeg_refuses_behind_the_pixels_is_refused_by_packing_and_evaluation(
    behind: bytes, how: Preparation
) -> None:
    data = tile(jpeg(200, 150))[0]
    out = np.empty((64, 64, 3), np.uint8)
    PictureDecoder("exact").evaluate(memoryview(data), out, Preprocessing(resize=72, crop=64))
    broken = data[:-2] + behind + END
    assert not readable(broken)
    assert not passes(broken, how)
    with pytest.raises(BrokenPictureError):
        PictureDecoder("exact").evaluate(memoryview(broken), out, Preprocessing(resize=72, crop=64))


@ways
def test_what_the_loader_would_refuse_for_its_size_is_refused_whatever_it_is(how: Preparation) -> None:
    for kind, options in (("JPEG", {}), ("JPEG", {"progressive": True}), ("PNG", {})):
        out = io.BytesIO()
        Image.new("L", (64_000, 2_800)).save(out, kind, **options)
        with pytest.raises(DamagedError, match=r"too large \(178,956,970 px in all at most\)"):
            prepare(out.getvalue(), PICTURE, how)


@ways
@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "PA", "I", "I;16", "F", "RGBA", "RGBX", "CMYK", "YCbCr", "LAB"])
def test_a_mode_is_packed_where_training_makes_rgb_of_it(mode: str, how: Preparation) -> None:
    out = io.BytesIO()
    Image.new(mode, (30, 20)).save(out, "TIFF")
    assert readable(out.getvalue())
    assert prepare(out.getvalue(), PICTURE, how).data == out.getvalue()
    assert decode_eval(out.getvalue(), 20, 16).shape == (16, 16, 3)


def test_a_marker_anywhere_in_the_coded_data_ends_it() -> None:
    data = jpeg(320, 240)
    start = data.index(b"\xff\xda") + 14
    coded = bytes(np.random.default_rng(0).integers(0, 255, 400, np.uint8)).replace(b"\xff", b"\0")
    assert is_whole(data[:start] + coded + END)
    for at in range(len(coded)):
        for mark, goes_on in ((b"\xff\0", True), (b"\xff\xd5", True), (b"\xff\xff\0", True), (b"\xff\xda", False)):
            marked = coded[:at] + mark + coded[at:]
            assert is_whole(data[:start] + marked + END) == goes_on, (at, mark)
            assert not is_whole(data[:start] + marked)
