import io
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from support.jpegs import SAMPLINGS, by_pillow, jpeg, pixels, segments
from tarn.sharding.jpeg.structure import Reason, look, picture_size, tile


def interval(data: bytes) -> int:
    """MCUs between restart markers, as the header tells them."""
    return int.from_bytes(dict(segments(data))[0xDD], "big")


@given(
    width=st.integers(1, 200),
    height=st.integers(1, 120),
    sampling=st.sampled_from(SAMPLINGS),
    quality=st.sampled_from((30, 75, 90, 98)),
    side=st.sampled_from((16, 40, 64)),
)
@settings(max_examples=300, deadline=None, derandomize=True)
def test_tiling_changes_no_pixel(width: int, height: int, sampling: str, quality: int, side: int) -> None:
    data = jpeg(width, height, sampling, quality)
    tiled, reason = tile(data, side)
    assert reason in (Reason.OK, Reason.NO_GAIN)
    if reason == Reason.OK:
        assert np.array_equal(pixels(tiled), pixels(data))
        assert interval(tiled) > 0
    else:
        assert tiled == data


@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_tiles_are_columns_of_a_row_about_as_wide_as_asked(sampling: str) -> None:
    data = jpeg(480, 96, sampling)
    tiled, _ = tile(data, 40)
    across = {"444": 8, "422": 16, "420": 16, "440": 8, "411": 32, "Gray": 8}[sampling]
    assert (480 // across) % interval(tiled) == 0
    assert 24 <= interval(tiled) * across <= 64


def test_a_row_without_a_fitting_divisor_is_a_tile_of_its_own() -> None:
    data = jpeg(47 * 8, 64, "444")
    assert interval(tile(data, 40)[0]) == 47


@pytest.mark.parametrize("blocks", [1, 3, 7])
def test_a_picture_with_other_restart_markers_is_tiled_anew(blocks: int) -> None:
    data = by_pillow(160, 90, restart_marker_blocks=blocks)
    tiled, reason = tile(data, 40)
    assert reason == Reason.OK
    assert np.array_equal(pixels(tiled), pixels(data))
    assert interval(tiled) != blocks


def test_tiling_a_tiled_picture_changes_nothing() -> None:
    once, _ = tile(jpeg(300, 200))
    assert tile(once) == (once, Reason.OK)


def test_tables_made_for_the_picture_pay_for_the_markers() -> None:
    data = jpeg(500, 375, "420", 90)
    assert len(tile(data, 40)[0]) <= 1.01 * len(data)


def test_profile_orientation_and_quantisation_stay_and_other_metadata_goes() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010F] = "a camera"
    data = by_pillow(200, 100, exif=exif.tobytes(), icc_profile=b"colours" * 40, comment=b"holiday", dpi=(300, 300))
    before, after = segments(data), segments(tile(data)[0])
    for marker in (0xE0, 0xE1, 0xE2, 0xDB, 0xC0):
        assert [body for kind, body in before if kind == marker] == [body for kind, body in after if kind == marker]
    assert 0xFE in dict(before)
    assert 0xFE not in dict(after)


def test_exif_that_does_not_turn_the_picture_goes() -> None:
    exif = Image.Exif()
    exif[0x010F] = "a camera"
    assert 0xE1 not in dict(segments(tile(by_pillow(200, 100, exif=exif.tobytes()))[0]))


ONE, SIX = (b"Exif\0\0MM\0*\0\0\0\x08\0\1\x01\x12\0\3\0\0\0\1\0" + bytes((turn,)) + bytes(6) for turn in (1, 6))
UNTOLD = b"Exif\0\0MM\0*\0\0\0\x08" + bytes(6)
ODD = ONE.replace(b"\0\3\0\0\0\1", b"\0\x63\0\0\0\1")  # of a type that is none
XMP = b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta>%s</x:xmpmeta>"
XMP_SIX, XMP_SIX_TOO = (XMP % it for it in (b'tiff:Orientation="6"', b"<tiff:Orientation>6</tiff:Orientation>"))
XMP_ONE, XMP_NONE, XMP_CUT = (XMP % it for it in (b'tiff:Orientation="1"', b"tiff:Orientation", b""))


@pytest.mark.parametrize(
    ("told", "turn"),
    [
        ([ONE, SIX], 1),
        ([SIX, ONE], 6),
        ([UNTOLD, SIX], 1),
        ([XMP_SIX], 6),
        ([XMP_SIX_TOO], 6),
        ([XMP_SIX, UNTOLD], 6),
        ([XMP_SIX, ODD], 6),
        ([XMP_SIX_TOO[: XMP_SIX_TOO.index(b"6<") + 1]], 6),
        ([XMP_SIX, ONE], 1),
        ([XMP_ONE, SIX], 6),
        ([XMP_SIX, XMP_ONE], 1),
        ([XMP_ONE, XMP_SIX], 6),
        ([XMP_NONE, XMP_CUT[:40], XMP_CUT], 1),
    ],
)
@pytest.mark.parametrize("progressive", [False, True])
def test_a_tiled_picture_is_turned_as_it_was(told: list[bytes], turn: int, progressive: bool) -> None:
    plain = by_pillow(200, 100, progressive=progressive)
    data = plain[:2] + b"".join(b"\xff\xe1" + (len(it) + 2).to_bytes(2, "big") + it for it in told) + plain[2:]
    tiled, reason = tile(data)
    assert reason == Reason.OK
    for picture in (data, tiled):
        with Image.open(io.BytesIO(picture)) as image:
            assert image.getexif().get(0x0112, 1) == turn
    assert (len(tiled) == len(tile(plain)[0])) == (turn == 1)


def test_what_follows_the_end_of_the_picture_goes() -> None:
    data = jpeg(200, 100)
    assert tile(data + b"trailing\xff\xd9") == tile(data)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", Reason.NOT_JPEG),
        (b"\xff\xd8\xff", Reason.NOT_JPEG),
        (by_pillow(100, 80, kind="PNG"), Reason.NOT_JPEG),
        (by_pillow(100, 80, "CMYK"), Reason.COMPONENTS),
        (jpeg(8, 8), Reason.NO_GAIN),
        (jpeg(100, 80)[:-400], Reason.DAMAGED),
        (jpeg(100, 80)[:-2], Reason.DAMAGED),
        (jpeg(100, 80).replace(b"\xff\xc0\x00\x11\x08", b"\xff\xc0\x00\x11\x0c"), Reason.PRECISION),
        (jpeg(100, 80).replace(b"\xff\xc0\x00\x11\x08", b"\xff\xc9\x00\x11\x08"), Reason.ARITHMETIC),
        (jpeg(100, 80).replace(b"\xff\xc0\x00\x11\x08", b"\xff\xc3\x00\x11\x08"), Reason.LOSSLESS),
    ],
)
def test_what_cannot_be_tiled_is_left_as_it_is_and_told_why(data: bytes, reason: Reason) -> None:
    assert tile(data) == (data, reason)
    assert reason.words


def test_a_flipped_bit_is_never_tiled_into_other_pixels() -> None:
    data, rng = jpeg(120, 90, "444"), np.random.default_rng(0)
    outcomes = set()
    for place in rng.integers(0, 8 * len(data), 600):
        hurt = bytearray(data)
        hurt[place // 8] ^= 1 << place % 8
        tiled, reason = tile(bytes(hurt))
        outcomes.add(reason)
        if reason == Reason.OK:
            assert np.array_equal(pixels(tiled), pixels(bytes(hurt)))
    assert {Reason.OK, Reason.DAMAGED} <= outcomes


def test_head_and_size_are_read_of_every_kind() -> None:
    assert picture_size(jpeg(123, 45)) == (123, 45)
    assert picture_size(by_pillow(123, 45, progressive=True)) == (123, 45)
    assert picture_size(by_pillow(123, 45, "CMYK")) == (123, 45)
    assert picture_size(by_pillow(123, 45, kind="PNG")) == (0, 0)
    assert look(jpeg(123, 45)) == Reason.OK
    assert look(by_pillow(123, 45, progressive=True)) == Reason.PROGRESSIVE


def test_what_cameras_put_behind_a_picture_takes_no_memory_of_its_own() -> None:
    code = (
        "import io, resource; from PIL import Image; from tarn.sharding.jpeg.structure import tile\n"
        "out = io.BytesIO(); Image.new('RGB', (200, 150)).save(out, 'JPEG'); picture = out.getvalue()\n"
        "film = picture + bytes(2**26)\n"
        "assert tile(picture) == tile(picture + b'film')\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "assert tile(film) == tile(picture)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 2**15  # KiB; the film has 2**16
