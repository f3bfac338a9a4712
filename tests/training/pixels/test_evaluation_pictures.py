"""Pictures of evaluation, of which only the middle is decoded, against Pillow, which resizes all of them."""

import random
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from support.checkout import REAL_PICTURES
from support.jpegs import SAMPLINGS, by_pillow, jpeg
from tarn.sharding.jpeg.structure import tile
from tarn.training.pixels.decode import PictureDecoder
from tarn.training.pixels.fidelity import FIDELITIES
from tarn.training.pixels.formats.baseline import BaselineJpeg
from tarn.training.pixels.jpeg.region import RegionDecoder
from tarn.training.pixels.pictures import BrokenPictureError, decode_eval
from tarn.training.pixels.preprocessing import Preprocessing
from tarn.training.pixels.resize.resize import Resizer

Pixels = NDArray[np.uint8]
PAIRS = ((256, 224), (232, 224), (224, 224), (36, 32), (73, 64))
sides = st.one_of(st.integers(8, 48), st.integers(8, 480))


@cache
def decoder(*, portable: bool = False) -> PictureDecoder:
    """Kept from test to test, so that pictures of all sizes meet in one memory."""
    made = PictureDecoder()
    if portable:
        made.baseline.regions, made.resizer = RegionDecoder("REGION_PORTABLE"), Resizer("RESIZE_PORTABLE")
    return made


def centre(data: bytes, pair: tuple[int, int], *, portable: bool = False) -> Pixels | None:
    """By the fast path; None where it leaves the picture to Pillow."""
    resize, crop = pair
    out = np.full((crop, crop, 3), 77, np.uint8)
    picture = next(decoder(portable=portable).opened(memoryview(data), whole=True))
    if not isinstance(picture, BaselineJpeg):
        return None
    taken = decoder(portable=portable).centre(picture, out, resize, "bilinear")
    return out if taken else None


def check(data: bytes, pair: tuple[int, int], *, portable: bool = False) -> None:
    ours = centre(data, pair, portable=portable)
    assert ours is not None
    assert np.array_equal(ours, decode_eval(data, *pair))


@settings(max_examples=150, derandomize=True, database=None)
@given(sides, sides, st.sampled_from(SAMPLINGS), st.sampled_from(PAIRS), st.booleans(), st.booleans())
def test_the_centre_has_the_values_of_the_whole_picture_resized(
    width: int, height: int, sampling: str, pair: tuple[int, int], tiled: bool, portable: bool
) -> None:
    data = jpeg(width, height, sampling)
    check(tile(data)[0] if tiled else data, pair, portable=portable)


@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize(
    ("width", "height"),
    [(1, 1), (1, 9), (9, 1), (2, 60), (60, 2), (3, 17), (700, 30), (30, 700), (1600, 500), (500, 1601), (2001, 1503)],
)
def test_extreme_shapes_have_the_values_of_the_whole_picture_resized(
    width: int, height: int, pair: tuple[int, int]
) -> None:
    for sampling in ("420", "Gray"):
        data = jpeg(width, height, sampling)
        check(data, pair)
        check(tile(data)[0], pair)


@pytest.mark.parametrize(("width", "height"), [(256, 256), (256, 400), (401, 256), (224, 224), (64, 36), (36, 200)])
def test_a_picture_that_has_its_size_is_only_cut(width: int, height: int) -> None:
    data, shorter = jpeg(width, height), min(width, height)
    for crop in (shorter, shorter - 1, shorter - 4):
        check(data, (shorter, crop))
        check(tile(data)[0], (shorter, crop), portable=True)


def test_evaluation_does_not_depend_on_fidelity() -> None:
    data, preprocessing = tile(jpeg(500, 375))[0], Preprocessing()
    for fidelity in FIDELITIES:
        out = np.empty((224, 224, 3), np.uint8)
        PictureDecoder(fidelity).evaluate(memoryview(data), out, preprocessing)
        assert np.array_equal(out, decode_eval(data, 256, 224))


def test_what_cameras_put_behind_the_end_marker_keeps_no_picture_from_the_fast_path() -> None:
    pixels = centre(jpeg(90, 70) + b"a film behind the end", (36, 32))
    assert pixels is not None
    assert np.array_equal(pixels, decode_eval(jpeg(90, 70), 36, 32))


@pytest.mark.parametrize(
    "data",
    [
        by_pillow(90, 70, "CMYK"),
        by_pillow(90, 70, progressive=True),
        by_pillow(90, 70, "RGBA", "PNG"),
        jpeg(90, 70)[:-2] + b"\xff\xfe\0\4ab\xff\xd9",
    ],
    ids=["cmyk", "progressive", "png", "comment behind the pixels"],
)
def test_what_the_fast_path_does_not_take_is_decoded_by_pillow(data: bytes) -> None:
    assert centre(data, (36, 32)) is None
    out = np.empty((32, 32, 3), np.uint8)
    decoder().evaluate(memoryview(data), out, Preprocessing(resize=36, crop=32))
    assert np.array_equal(out, decode_eval(data, 36, 32))


def test_damage_in_the_middle_is_judged_by_pillow() -> None:
    data = tile(jpeg(500, 375))[0]
    marker = data.index(b"\xff\xd3", len(data) // 2)
    damaged = data[:marker] + data[marker + 2 :]
    assert centre(damaged, (256, 224)) is None
    out = np.empty((224, 224, 3), np.uint8)
    decoder().evaluate(memoryview(damaged), out, Preprocessing())
    assert np.array_equal(out, decode_eval(damaged, 256, 224))


@pytest.mark.parametrize("left", [0.3, 0.99])
def test_a_picture_that_is_cut_off_is_broken_even_where_the_centre_is_there(left: float) -> None:
    data = tile(jpeg(300, 900))[0]
    cut = data[: int(len(data) * left)]
    with pytest.raises(BrokenPictureError):
        decoder().evaluate(memoryview(cut), np.empty((224, 224, 3), np.uint8), Preprocessing())


def test_a_picture_that_would_grow_beyond_all_measure_is_broken() -> None:
    with pytest.raises(BrokenPictureError, match="too long and narrow"):
        centre(jpeg(1, 60_000), (300, 224))


@pytest.mark.skipif(not REAL_PICTURES.is_dir(), reason="the real photographs are not beside the checkout")
def test_centres_of_real_photographs_have_the_values_of_all_of_them_resized() -> None:
    chance = random.Random(10)
    for path in chance.sample(sorted(REAL_PICTURES.rglob("*.JPEG")), 60):
        tiled, _ = tile(path.read_bytes())
        ours = centre(tiled, pair := chance.choice(PAIRS))
        assert ours is None or np.array_equal(ours, decode_eval(tiled, *pair))
