import numpy as np
import pytest
import simplejpeg
from hypothesis import given, settings
from hypothesis import strategies as st

from support.jpegs import SAMPLINGS, by_pillow, jpeg, pixels
from tarn.sharding.jpeg.structure import Cutter, Reason, Region, tile

CUTTER = Cutter()


@st.composite
def boxes(draw: st.DrawFn, width: int, height: int) -> tuple[int, int, int, int]:
    left, top = draw(st.integers(0, width - 1)), draw(st.integers(0, height - 1))
    return left, top, draw(st.integers(left + 1, width)), draw(st.integers(top + 1, height))


@given(
    data=st.data(),
    width=st.integers(9, 260),
    height=st.integers(9, 160),
    sampling=st.sampled_from(SAMPLINGS),
    side=st.sampled_from((8, 24, 40)),
)
@settings(max_examples=300, deadline=None, derandomize=True)
def test_a_region_decodes_to_the_pixels_of_the_whole(
    data: st.DataObject, width: int, height: int, sampling: str, side: int
) -> None:
    picture, reason = tile(jpeg(width, height, sampling), side)
    if reason != Reason.OK:
        return
    left, top, right, bottom = box = data.draw(boxes(width, height))
    whole, region = pixels(picture), CUTTER.cut(picture, box)
    if not isinstance(region, Region):
        assert region == Reason.NO_GAIN
        return
    part = pixels(region.data)
    assert part.size < whole.size
    inside = part[top - region.top : bottom - region.top, left - region.left : right - region.left]
    assert np.array_equal(inside, whole[top:bottom, left:right])


def test_another_decoder_reads_regions_too() -> None:
    picture, _ = tile(jpeg(320, 200))
    region = CUTTER.cut(picture, (50, 60, 150, 120))
    assert isinstance(region, Region)
    assert np.array_equal(simplejpeg.decode_jpeg(region.data), pixels(region.data))


def test_a_region_is_made_of_the_tiles_that_the_box_touches() -> None:
    picture, _ = tile(jpeg(400, 160, "444"), 40)
    region = CUTTER.cut(picture, (80, 16, 120, 24))
    assert isinstance(region, Region)
    assert (region.left, region.top) == (80, 16)
    assert pixels(region.data).shape == (8, 40, 3)


def test_subsampled_chroma_takes_its_neighbours_along() -> None:
    picture, _ = tile(jpeg(480, 160, "420"), 48)
    region = CUTTER.cut(picture, (96, 32, 144, 48))
    assert isinstance(region, Region)
    assert (region.left, region.top) == (48, 16)
    assert pixels(region.data).shape == (48, 144, 3)


@pytest.mark.parametrize("rows", [1, 3])
def test_whole_rows_are_cut_where_tiles_are_rows(rows: int) -> None:
    picture = by_pillow(100, 96, subsampling=0, restart_marker_rows=rows)
    region = CUTTER.cut(picture, (40, 50, 60, 56))
    assert isinstance(region, Region)
    assert (region.left, region.top) == (0, 48)
    assert pixels(region.data).shape == (8 * rows, 100, 3)


def test_a_picture_that_is_not_tiled_or_wholly_needed_is_not_cut() -> None:
    assert CUTTER.cut(jpeg(100, 80), (0, 0, 10, 10)) == Reason.NO_GAIN
    assert CUTTER.cut(tile(jpeg(100, 80))[0], (0, 0, 100, 80)) == Reason.NO_GAIN
    assert CUTTER.cut(by_pillow(100, 80, progressive=True), (0, 0, 10, 10)) == Reason.PROGRESSIVE
    assert CUTTER.cut(b"nothing", (0, 0, 10, 10)) == Reason.NOT_JPEG


@pytest.mark.parametrize("box", [(-1, 0, 10, 10), (0, 0, 101, 10), (10, 0, 10, 10), (0, 20, 10, 10)])
def test_a_box_outside_the_picture_is_refused(box: tuple[int, int, int, int]) -> None:
    assert CUTTER.cut(tile(jpeg(100, 80))[0], box) == Reason.TOO_LARGE


def test_lost_and_swapped_markers_are_damage() -> None:
    picture, _ = tile(jpeg(320, 200))
    first = picture.index(b"\xff\xd0")
    for hurt in (picture[:first] + picture[first + 2 :], picture[: first + 1] + b"\xd3" + picture[first + 2 :]):
        assert CUTTER.cut(hurt, (200, 150, 300, 190)) == Reason.DAMAGED
    assert CUTTER.cut(picture[:-900], (200, 150, 320, 200)) == Reason.DAMAGED


def test_a_large_picture_finds_room() -> None:
    data, _ = tile(jpeg(2400, 1600, "444", 100))
    assert len(data) > 2**20
    region = CUTTER.cut(data, (100, 100, 2400, 1600))
    assert isinstance(region, Region)
    assert np.array_equal(pixels(region.data)[100 - region.top :], pixels(data)[100:, region.left :])
