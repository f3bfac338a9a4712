import ctypes
import mmap
from math import ceil, floor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from tarn.sharding.errors import TarnError
from tarn.training.pixels.resize.resize import Filter, Resizer, exact_filter
from tarn.training.pixels.resize.stretch import REACH, window_stretch

Pixels = NDArray[np.uint8]
Box = tuple[float, float, float, float]
sides = st.one_of(st.integers(1, 40), st.integers(1, 600))
filters = st.sampled_from([Filter.ANTIALIAS, Filter.EXACT, Filter.BILINEAR, Filter.BICUBIC])
interpolations = st.sampled_from(sorted(REACH))
RESAMPLING = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}


def draw(seed: int, height: int, width: int) -> Pixels:
    """Noise, or black and white: the hardest pictures for rounding."""
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return pixels if seed % 2 else np.where(pixels > 127, 255, 0).astype(np.uint8)


def resized(pixels: Pixels, box: Box, size: tuple[int, int], kind: Filter, flip: bool = False, *defines: str) -> Pixels:
    """size: width, height."""
    out = np.full((size[1], size[0], 3), 77, np.uint8)
    Resizer(*defines).resize(pixels, box, out, kind, flip)
    return out


def by_pillow(pixels: Pixels, box: Box, size: tuple[int, int], how: str = "bilinear") -> Pixels:
    """Cropped to the pixels that the box touches, then resized."""
    left, top, right, bottom = box[0], box[1], box[0] + box[2], box[1] + box[3]
    x, y = floor(left), floor(top)
    crop = np.ascontiguousarray(pixels[y : ceil(bottom), x : ceil(right)])
    within = (left - x, top - y, right - x, bottom - y)
    return np.asarray(Image.fromarray(crop).resize(size, RESAMPLING[how], box=within))


def exactly(pixels: Pixels, box: Box, size: tuple[int, int], how: str = "bilinear") -> Pixels:
    width, height = ceil(box[0] + box[2]) - floor(box[0]), ceil(box[1] + box[3]) - floor(box[1])
    return resized(pixels, box, size, exact_filter(width, height, *size, how))


def difference(first: Pixels, second: Pixels) -> int:
    return int(np.abs(first.astype(int) - second).max())


@settings(max_examples=60, deadline=None)
@given(sides, sides, sides, sides, st.integers(0, 1000))
def test_whole_pictures_come_out_as_pillow_resizes_them(width: int, height: int, w: int, h: int, seed: int) -> None:
    pixels, box = draw(seed, height, width), (0, 0, width, height)
    expected = by_pillow(pixels, box, (w, h))
    assert np.array_equal(exactly(pixels, box, (w, h)), expected)
    assert np.array_equal(exactly(pixels, box, (w, h), "bicubic"), by_pillow(pixels, box, (w, h), "bicubic"))
    assert difference(resized(pixels, box, (w, h), Filter.ANTIALIAS), expected) <= 1


@settings(max_examples=60, deadline=None)
@given(sides, sides, sides, sides, st.integers(0, 1000), st.booleans(), st.data())
def test_boxes_come_out_as_if_cropped_first(
    width: int, height: int, w: int, h: int, seed: int, whole: bool, data: st.DataObject
) -> None:
    pixels, step = draw(seed, height, width), 8 if whole else 1
    ends = [sorted(data.draw(st.tuples(*[st.integers(0, side * 8 // step)] * 2))) for side in (width, height)]
    (left, right), (top, bottom) = [(begin * step / 8, end * step / 8) for begin, end in ends]
    if left == right or top == bottom:
        return
    box = (left, top, right - left, bottom - top)
    expected = by_pillow(pixels, box, (w, h))
    assert np.array_equal(exactly(pixels, box, (w, h)), expected)
    assert np.array_equal(exactly(pixels, box, (w, h), "bicubic"), by_pillow(pixels, box, (w, h), "bicubic"))
    assert difference(resized(pixels, box, (w, h), Filter.ANTIALIAS), expected) <= 1


def how_of(kind: Filter) -> str:
    return "bicubic" if kind in (Filter.BICUBIC, Filter.BICUBIC_DOWN_FIRST) else "bilinear"


def windowed(pixels: Pixels, size: tuple[int, int], start: tuple[int, int], out: Pixels, kind: Filter) -> None:
    """Fills out with the window of the resized picture that begins at start, given no px that it does not need."""
    height, width = pixels.shape[:2]
    across, right = window_stretch(width, size[0], start[0], out.shape[1], how_of(kind))
    down, bottom = window_stretch(height, size[1], start[1], out.shape[0], how_of(kind))
    Resizer().resample(pixels[down.origin : bottom, across.origin : right], across, down, out, kind)


@settings(max_examples=80, deadline=None)
@given(sides, sides, sides, sides, st.integers(0, 1000), interpolations, st.data())
def test_windows_come_out_as_if_cut_out_of_the_whole_picture_resized(
    width: int, height: int, w: int, h: int, seed: int, how: str, data: st.DataObject
) -> None:
    pixels = draw(seed, height, width)
    left, top = data.draw(st.integers(0, w - 1)), data.draw(st.integers(0, h - 1))
    right, bottom = data.draw(st.integers(left + 1, w)), data.draw(st.integers(top + 1, h))
    expected = by_pillow(pixels, (0, 0, width, height), (w, h), how)[top:bottom, left:right]
    out = np.empty((bottom - top, right - left, 3), np.uint8)
    windowed(pixels, (w, h), (left, top), out, exact_filter(width, height, w, h, how))
    assert np.array_equal(out, expected)
    if how == "bilinear":
        windowed(pixels, (w, h), (left, top), out, Filter.ANTIALIAS)
        assert difference(out, expected) <= 1


def test_a_window_that_needs_more_than_is_given_is_refused() -> None:
    pixels, out = np.zeros((100, 100, 3), np.uint8), np.empty((20, 20, 3), np.uint8)
    for kind in Filter:
        across, right = down, bottom = window_stretch(100, 40, 10, 20, how_of(kind))
        Resizer().resample(pixels[down.origin : bottom, across.origin : right], across, down, out, kind)
        with pytest.raises(TarnError, match="all that the target needs"):
            Resizer().resample(pixels[down.origin : bottom, across.origin : right - 3], across, down, out, kind)
        with pytest.raises(TarnError, match="all that the target needs"):
            Resizer().resample(pixels[down.origin : bottom - 3, across.origin : right], across, down, out, kind)


def plain_bilinear(pixels: Pixels, w: int, h: int) -> NDArray[np.float64]:
    for axis, size in ((0, h), (1, w)):
        last = pixels.shape[axis] - 1
        at = np.clip((np.arange(size) + 0.5) * (last + 1) / size - 0.5, 0, last)
        low = at.astype(int)
        share = (at - low).reshape((-1, 1, 1) if axis == 0 else (1, -1, 1))
        one, two = pixels.take(low, axis), pixels.take(np.minimum(low + 1, last), axis)
        pixels = one * (1 - share) + two * share
    return pixels


@settings(max_examples=40, deadline=None)
@given(sides, sides, sides, sides, st.integers(0, 1000))
def test_bilinear_is_two_taps_an_axis(width: int, height: int, w: int, h: int, seed: int) -> None:
    pixels = draw(seed, height, width)
    out = resized(pixels, (0, 0, width, height), (w, h), Filter.BILINEAR)
    assert np.abs(out - plain_bilinear(pixels, w, h)).max() < 0.55


@settings(max_examples=40, deadline=None)
@given(sides, sides, sides, sides, filters, st.integers(0, 1000))
def test_flip_mirrors_and_intrinsics_change_nothing(
    width: int, height: int, w: int, h: int, kind: Filter, seed: int
) -> None:
    pixels, box = draw(seed, height, width), (0, 0, width, height)
    plain = resized(pixels, box, (w, h), kind)
    assert np.array_equal(resized(pixels, box, (w, h), kind, True), plain[:, ::-1])
    assert np.array_equal(resized(pixels, box, (w, h), kind, False, "RESIZE_PORTABLE"), plain)


@settings(max_examples=40, deadline=None)
@given(sides, sides, sides, sides, filters, st.integers(0, 255))
def test_one_colour_stays_itself(width: int, height: int, w: int, h: int, kind: Filter, level: int) -> None:
    pixels = np.full((height, width, 3), level, np.uint8)
    assert (resized(pixels, (0, 0, width, height), (w, h), kind) == level).all()


@settings(max_examples=40, deadline=None)
@given(sides, sides, st.sampled_from(list(Filter)), st.booleans())
def test_nothing_else_is_written(w: int, h: int, kind: Filter, flip: bool) -> None:
    batch = np.full((h + 2, w + 2, 3), 7, np.uint8)
    Resizer().resize(np.full((50, 40, 3), 99, np.uint8), (1, 2, 33, 44), batch[1:-1, 1:-1], kind, flip)
    assert (batch[1:-1, 1:-1] == 99).all()
    batch[1:-1, 1:-1] = 7
    assert (batch == 7).all()


@pytest.mark.parametrize("kind", list(Filter))
@pytest.mark.parametrize("at_end", [True, False])
def test_nothing_else_is_read(kind: Filter, at_end: bool) -> None:
    """The picture lies against a page that may not be touched: reading there ends the process."""
    page, pages = mmap.PAGESIZE, 80
    memory = mmap.mmap(-1, (pages + 2) * page)
    base = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    protect = ctypes.CDLL(None, use_errno=True).mprotect
    protect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    for guard in (base, base + (pages + 1) * page):
        assert protect(guard, page, 0) == 0
    for width, height in [(1, 1), (2, 16), (10, 15), (11, 16), (11, 17), (40, 33), (300, 200), (229, 260)]:
        size = width * height * 3
        offset = (pages + 1) * page - size if at_end else page
        pixels = np.frombuffer(memory, np.uint8, size, offset).reshape(height, width, 3)
        for box in ((0, 0, width, height), (width / 2, height / 2, width / 2, height / 2)):
            for target in ((224, 224), (7, 5)):
                resized(pixels, box, target, kind)
        for start in (0, 90):
            windowed(pixels, (97, 97), (start, start), np.empty((7, 7, 3), np.uint8), kind)


@pytest.mark.parametrize(
    "box", [(-1, 0, 5, 5), (0, 0, 0, 5), (0, 0, 11, 5), (0, 0, 5, 11), (float("nan"), 0, 5, 5), (8, 8, 5, 1)]
)
def test_a_box_outside_the_picture_is_refused(box: Box) -> None:
    with pytest.raises(TarnError, match="lie within the picture"):
        resized(np.zeros((10, 10, 3), np.uint8), box, (4, 4), Filter.ANTIALIAS)


def test_pixels_that_lie_apart_are_refused() -> None:
    with pytest.raises(TarnError, match="side by side"):
        resized(np.zeros((10, 10, 3), np.uint8)[:, ::2], (0, 0, 5, 5), (4, 4), Filter.ANTIALIAS)


def test_torchvision_agrees_within_two_roundings() -> None:
    torch = pytest.importorskip("torch")
    from torchvision.transforms.v2 import functional

    for seed, (w, h) in enumerate([(300, 200), (90, 150), (224, 300), (500, 375)]):
        pixels = draw(seed, h, w)
        theirs = functional.resize(torch.from_numpy(pixels).permute(2, 0, 1), [224, 224], antialias=True)
        ours = resized(pixels, (0, 0, w, h), (224, 224), Filter.ANTIALIAS)
        assert difference(ours, theirs.permute(1, 2, 0).numpy()) <= 2
