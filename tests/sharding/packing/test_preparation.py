import io

import numpy as np
import pytest
from PIL import Image

from support.jpegs import by_pillow, jpeg, pixels
from tarn.sharding.errors import TarnError, UsageError
from tarn.sharding.jpeg.structure import Reason, look, tile
from tarn.sharding.packing import preparation
from tarn.sharding.packing.preparation import DamagedError, Preparation, Prepared, prepare
from tarn.sharding.sources import Picture
from tarn.sharding.sources.place import File

PICTURE = Picture("key", File("some/", "picture.JPEG"), 0, 0)


def test_a_baseline_jpeg_is_tiled_and_another_picture_is_left_with_a_reason() -> None:
    data = jpeg(200, 150)
    assert prepare(data, PICTURE, Preparation()).data == tile(data)[0]
    assert prepare(data, PICTURE, Preparation()).left is None
    for other, reason in (
        (by_pillow(200, 150, kind="PNG"), Reason.NOT_JPEG),
        (by_pillow(200, 150, "CMYK"), Reason.COMPONENTS),
    ):
        prepared = prepare(other, PICTURE, Preparation())
        assert (prepared.data, prepared.left) == (other, reason.words)


def test_a_progressive_jpeg_is_tiled_as_the_baseline_one_of_its_coefficients() -> None:
    prepared = prepare(by_pillow(200, 150, progressive=True), PICTURE, Preparation(check="all"))
    assert prepared == Prepared(tile(by_pillow(200, 150))[0], None, baseline="progressive")


def test_a_progressive_jpeg_that_cannot_be_tiled_is_baseline_at_least() -> None:
    for data, reason in (
        (by_pillow(200, 150, "CMYK", progressive=True), Reason.COMPONENTS),
        (by_pillow(9, 7, progressive=True), Reason.NO_GAIN),
    ):
        prepared = prepare(data, PICTURE, Preparation(check="all"))
        assert (prepared.left, prepared.baseline) == (reason.words, "progressive")
        assert look(prepared.data) != Reason.PROGRESSIVE
        assert np.array_equal(pixels(prepared.data), pixels(data))


def test_a_progressive_jpeg_of_which_scans_are_missing_is_left_alone_for_decoders_guess_at_them() -> None:
    data = by_pillow(200, 150, progressive=True)
    cut = data[: data.rindex(b"\xff\xda")] + b"\xff\xd9"
    prepared = prepare(cut, PICTURE, Preparation(check="all"))
    assert prepared == Prepared(cut, Reason.INCOMPLETE.words)


def test_without_tiling_the_bytes_are_the_originals() -> None:
    data = jpeg(200, 150)
    assert prepare(data, PICTURE, Preparation(tile=0)).data is data


@pytest.mark.parametrize("harm", [b"", b"<html>", jpeg(99, 70)[:900]])
def test_what_is_no_whole_picture_is_told(harm: bytes) -> None:
    with pytest.raises(DamagedError):
        prepare(harm, PICTURE, Preparation())


def test_damage_inside_that_decoders_bear_with_is_kept_and_told() -> None:
    data = bytearray(jpeg(200, 150))
    data[len(data) // 2 : len(data) // 2 + 4] = b"\xff\xd9\xff\xd9"
    prepared = prepare(bytes(data), PICTURE, Preparation())
    assert (prepared.data, prepared.left) == (data, Reason.DAMAGED.words)


def test_damage_inside_that_no_decoder_reads_is_found_although_only_heads_are_checked() -> None:
    data = jpeg(200, 150)
    scan = data.index(b"\xff\xda")
    with pytest.raises(DamagedError):
        prepare(data[: scan + 4] + b"\xff\xd9", PICTURE, Preparation())


def test_a_tiling_that_changes_a_pixel_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    other = tile(jpeg(200, 150, seed=2))[0]
    monkeypatch.setattr(preparation, "tile", lambda data, side: (other, Reason.OK))
    with pytest.raises(TarnError, match=r"picture\.JPEG: tiling would change its pixels"):
        prepare(jpeg(200, 150), PICTURE, Preparation(check="all"))


def test_a_sample_of_the_pictures_is_proven_and_their_keys_choose_it(monkeypatch: pytest.MonkeyPatch) -> None:
    proven: list[str] = []
    monkeypatch.setattr(preparation, "prove", lambda before, after, picture: proven.append(picture.key))
    data = jpeg(64, 48)
    for how, least, most in ((Preparation(), 8, 32), (Preparation(check="off"), 0, 0)):
        proven.clear()
        for number in range(1000):
            prepare(data, Picture(f"key-{number}", File("", "x"), 0, 0), how)
        assert least <= len(proven) <= most


@pytest.mark.parametrize(
    ("how", "size"),
    [
        (Preparation(max_side=100), (100, 75)),
        (Preparation(short_side=60), (80, 60)),
        (Preparation(max_side=100, short_side=60), (80, 60)),
        (Preparation(max_side=1000), (200, 150)),
        (Preparation(quality=70), (200, 150)),
    ],
)
def test_pictures_are_made_smaller_by_either_side_and_never_larger(how: Preparation, size: tuple[int, int]) -> None:
    with Image.open(io.BytesIO(prepare(by_pillow(200, 150, quality=95), PICTURE, how).data)) as image:
        assert image.size == size


def test_smaller_pictures_look_alike_and_are_tiled() -> None:
    data = by_pillow(400, 300, quality=95)
    prepared = prepare(data, PICTURE, Preparation(max_side=200, quality=90))
    assert prepared.left is None
    with Image.open(io.BytesIO(data)) as image:
        expected = np.asarray(image.resize((200, 150), Image.Resampling.LANCZOS)).astype(int)
    assert np.abs(pixels(prepared.data).astype(int) - expected).mean() < 12
    assert len(prepared.data) < len(data) / 2


def test_any_mode_can_be_encoded_anew_and_keeps_orientation_and_profile() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    data = by_pillow(200, 150, exif=exif.tobytes(), icc_profile=b"profile" * 10, quality=97)
    with Image.open(io.BytesIO(prepare(data, PICTURE, Preparation(quality=80)).data)) as image:
        assert image.getexif()[0x0112] == 6
        assert image.info["icc_profile"] == b"profile" * 10
    for mode, kind in (("CMYK", "JPEG"), ("L", "JPEG"), ("RGBA", "PNG"), ("P", "PNG"), ("I;16", "PNG")):
        if mode == "I;16":
            raw = io.BytesIO()
            Image.fromarray(np.arange(64 * 48, dtype=np.uint16).reshape(48, 64) * 20).save(raw, "PNG")
            source = raw.getvalue()
        else:
            source = by_pillow(200, 150, mode, kind)
        with Image.open(io.BytesIO(prepare(source, PICTURE, Preparation(max_side=50)).data)) as image:
            assert (image.format, max(image.size)) == ("JPEG", 50)


@pytest.mark.parametrize(
    "wrong", [{"check": "most"}, {"max_side": 3}, {"short_side": -1}, {"quality": 0}, {"quality": 101}]
)
def test_options_that_make_no_sense_are_named(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError, match=next(iter(wrong)).replace("_", "-")):
        Preparation(**wrong)


def test_a_jpeg_with_junk_in_its_head_is_told_as_a_damaged_one() -> None:
    data = jpeg(200, 150)
    data = data[:20] + b"\0\0" + data[20:]  # behind JFIF
    assert prepare(data, PICTURE, Preparation()).left == "damaged, or coded against the standard"
    assert prepare(data, PICTURE, Preparation(normalise=True)).normalised == "damaged, or coded against the standard"
