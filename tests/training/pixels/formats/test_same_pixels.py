"""Each way to decode a part of a picture against Pillow, which decodes and converts all of it."""

import builtins
import random
from typing import Any

import numpy as np
import pytest

from support.jpegs import by_pillow, jpeg, pixels
from support.pictures import SIZES, chunk, every_kind
from tarn.sharding.jpeg.structure import Reason, tile
from tarn.training.pixels.decode import PictureDecoder
from tarn.training.pixels.formats import png, turbo, webp
from tarn.training.pixels.formats.baseline import BaselineJpegs
from tarn.training.pixels.formats.opened import Opened
from tarn.training.pixels.formats.pillow_picture import PillowPicture
from tarn.training.pixels.formats.png import Png
from tarn.training.pixels.formats.turbo import TurboJpeg
from tarn.training.pixels.formats.ways import ways
from tarn.training.pixels.formats.webp import WebP
from tarn.training.pixels.geometry import UNIFORMS, Augmentation
from tarn.training.pixels.jpeg.region import Region
from tarn.training.pixels.pictures import decode_eval, decode_train
from tarn.training.pixels.preprocessing import Preprocessing
from tarn.training.streaming.randomness import sample_uniforms

LEFT_TO_PILLOW = ("PNG small palette", "PNG 1 bit", "PNG 16 grey")


def taken(data: bytes, box: tuple[int, int, int, int], scale: int = 8) -> tuple[Opened, Region]:
    """By the first way that can."""
    for picture in ways(memoryview(data), BaselineJpegs(), whole=False):
        region = picture.region(box, scale)
        if region is not None:
            return picture, region
    raise AssertionError("Pillow takes all")


def by_its_own(name: str) -> type[Opened]:
    if name in LEFT_TO_PILLOW or name.startswith(("GIF", "TIFF", "BMP")):
        return PillowPicture
    kinds: dict[str, Any] = {"PNG": Png, "WebP": WebP if webp.library() else PillowPicture}
    return kinds.get(name.split()[0], TurboJpeg)


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_a_box_has_the_pixels_of_the_whole_picture(width: int, height: int) -> None:
    chance = random.Random(width)
    for name, data in every_kind(width, height).items():
        whole = pixels(data)
        for _ in range(6):
            left, top = chance.randrange(width), chance.randrange(height)
            box = (left, top, chance.randint(left + 1, width), chance.randint(top + 1, height))
            picture, region = taken(data, box)
            assert type(picture) is by_its_own(name) or width * height < 1000, name  # few px have few colours
            assert picture.size == (width, height)
            x, y = left - region.left, top - region.top
            part = region.pixels[y : y + box[3] - top, x : x + box[2] - left]
            assert np.array_equal(part, whole[top : box[3], left : box[2]]), (name, box)


def test_exact_crops_are_those_of_pillow() -> None:
    decoder, out = PictureDecoder("exact"), np.empty((48, 48, 3), np.uint8)
    for name, data in every_kind(211, 157).items():
        for row in sample_uniforms(0, 0, np.arange(3), UNIFORMS):
            for crop in ("resized", "padded", "centre"):
                decoder.train(memoryview(data), out, Augmentation(crop=crop), row)
                assert np.array_equal(out, decode_train(data, 48, Augmentation(crop=crop), row, exact=True)), name


def test_crops_of_the_default_fidelity_are_within_a_level_of_pillows() -> None:
    decoder, out = PictureDecoder(), np.empty((120, 120, 3), np.uint8)
    for name, data in every_kind(211, 157).items():
        for row in sample_uniforms(0, 0, np.arange(3), UNIFORMS):
            decoder.train(memoryview(data), out, Augmentation(), row)
            theirs = decode_train(data, 120, Augmentation(), row, exact=True)
            assert np.abs(out.astype(int) - theirs).max() <= 1, name


@pytest.mark.parametrize("fidelity", ["exact", "default", "fast"])
@pytest.mark.parametrize("side", [100, 40, 16])
def test_a_progressive_jpeg_gives_the_crops_that_it_gives_tiled(fidelity: str, side: int) -> None:
    decoder, out = PictureDecoder(fidelity), np.empty((2, side, side, 3), np.uint8)
    for options in ({}, {"mode": "L"}, {"subsampling": 0}):
        data = by_pillow(301, 203, progressive=True, **options)
        tiled, reason = tile(data)
        assert reason == Reason.OK
        for row in sample_uniforms(0, 0, np.arange(4), UNIFORMS):
            for made, one in zip(out, (data, tiled), strict=True):
                decoder.train(memoryview(one), made, Augmentation(), row)
            assert np.array_equal(*out)


def test_evaluation_pictures_are_those_of_pillow() -> None:
    decoder, out = PictureDecoder(), np.empty((64, 64, 3), np.uint8)
    for size in ((211, 157), (50, 90), (3, 200)):
        for name, data in every_kind(*size).items():
            for interpolation in ("bilinear", "bicubic"):
                how = Preprocessing(resize=72, crop=64, interpolation=interpolation)
                decoder.evaluate(memoryview(data), out, how)
                assert np.array_equal(out, decode_eval(data, 72, 64, interpolation)), (name, size)


def test_pictures_that_are_not_cropped_are_those_of_pillow() -> None:
    decoder, room = PictureDecoder(), np.empty((100, 100, 3), np.uint8)
    for name, data in every_kind(90, 70).items():
        assert np.array_equal(decoder.whole(memoryview(data), room), pixels(data)), name


@pytest.mark.parametrize("scale", [1, 2, 4])
@pytest.mark.parametrize("options", [{"progressive": True}, {"mode": "CMYK"}, {"mode": "L", "progressive": True}])
def test_a_jpeg_at_part_of_its_size_has_the_pixels_of_pillows_draft(scale: int, options: dict[str, Any]) -> None:
    for size in ((301, 203), (64, 64), (67, 45)):
        data, box = by_pillow(*size, **options), (10, 13, 60, 40)
        picture, ours = taken(data, box, scale)
        *_, last = ways(memoryview(data), BaselineJpegs(), whole=False)
        theirs = last.region(box, scale)
        assert isinstance(picture, TurboJpeg)
        assert isinstance(last, PillowPicture)
        assert theirs is not None
        assert (ours.left, ours.top, ours.scale) == (theirs.left, theirs.top, scale)
        assert np.array_equal(ours.pixels, theirs.pixels)


def test_colours_that_a_palette_does_not_tell_are_those_of_pillow() -> None:
    data = every_kind(90, 70)["PNG palette"]
    at = data.index(b"PLTE")
    body = data[at + 4 : at + 4 + int.from_bytes(data[at - 4 : at])]
    short = data[: at - 4] + chunk(b"PLTE", body[:300]) + data[at + 8 + len(body) :]
    picture, region = taken(short, (0, 0, 90, 70))
    assert isinstance(picture, Png)
    assert np.array_equal(region.pixels, pixels(short))


def test_without_the_libraries_that_may_be_installed_pixels_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    imported = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name in ("isal", "simplejpeg"):
            raise ImportError(name)
        return imported(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    monkeypatch.setattr(webp, "library", lambda: None)
    for found in (png.inflater, turbo.library):
        found.cache_clear()
    try:
        decoder, out = PictureDecoder("exact"), np.empty((48, 48, 3), np.uint8)
        row = sample_uniforms(0, 0, np.arange(1), UNIFORMS)[0]
        for name, data in every_kind(90, 70).items():
            decoder.train(memoryview(data), out, Augmentation(), row)
            assert np.array_equal(out, decode_train(data, 48, Augmentation(), row, exact=True)), name
        assert turbo.library() is None
        assert png.inflater().__name__ == "zlib"
    finally:
        for found in (png.inflater, turbo.library):
            found.cache_clear()


def test_a_sampling_that_simplejpeg_has_no_name_for_is_decoded() -> None:
    """4:4:1: as many blocks a unit as 4:1:1, one above the other."""
    data = jpeg(64, 64, "411").replace(b"\3\1\x41", b"\3\1\x14")
    assert turbo.open_jpeg(memoryview(data)) is None
    out = np.zeros((24, 24, 3), np.uint8)
    PictureDecoder().evaluate(memoryview(data), out, Preprocessing(resize=28, crop=24))
    assert np.array_equal(out, decode_eval(data, 28, 24))
