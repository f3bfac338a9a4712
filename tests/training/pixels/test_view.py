"""Masks and boxes of a crop: each pixel from where the picture's own comes, by Pillow's and torchvision's measure."""

import io

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tarn.sharding.errors import UsageError
from tarn.training.pixels.decode import PictureDecoder
from tarn.training.pixels.geometry import UNIFORMS, Augmentation, is_flipped, resized_crop_box
from tarn.training.pixels.preprocessing import Preprocessing
from tarn.training.pixels.view import Axis, View, centred_view, train_view, whole_view

SIZES = [(60, 90), (97, 41), (224, 224)]


def numbered(height: int, width: int) -> NDArray[np.int32]:
    """Every pixel has a number of its own."""
    return np.arange(height * width, dtype=np.int32).reshape(height, width)


def uniforms(seed: int) -> NDArray[np.float64]:
    return np.random.default_rng(seed).random(UNIFORMS)


def on_edge(axis: Axis) -> NDArray[np.bool_]:
    """Pixels whose centres come from between two others: there Pillow, which adds up steps, takes either."""
    centres = (axis.start + (np.arange(axis.size) + 0.5) * axis.step) / axis.divisor
    return np.abs(centres - centres.round()) < 1e-6  # type: ignore[no-any-return]


@pytest.mark.parametrize("size", SIZES)
def test_a_mask_is_what_pillow_cuts_out_and_resizes_to_the_nearest(size: tuple[int, int]) -> None:
    mask, out = numbered(*size), (32, 48)
    for seed in range(50):
        drawn, how = uniforms(seed), Augmentation()
        box = resized_crop_box(size[1], size[0], how, drawn)
        theirs = np.asarray(Image.fromarray(mask).crop(box).resize((48, 32), Image.Resampling.NEAREST))
        theirs = theirs[:, ::-1] if is_flipped(how, drawn) else theirs
        view = train_view(size, out, how, drawn)
        rows, columns = (
            ~on_edge(axis)[:: -1 if flip else 1] for axis, flip in ((view.down, 0), (view.across, view.flip))
        )
        assert np.array_equal(view.mask(mask)[rows][:, columns], theirs[rows][:, columns])


@pytest.mark.parametrize("crop", ["resized", "padded", "centre", "none", "evaluation"])
@pytest.mark.parametrize("size", SIZES)
def test_what_is_seen_of_a_smooth_picture_is_what_its_mask_says(crop: str, size: tuple[int, int]) -> None:
    """Red grows from left to right, green from the top down: each pixel tells where it comes from."""
    height, width = size
    stored = np.zeros((height, width, 3), np.uint8)
    stored[..., 0] = np.linspace(0, 255, width).round()
    stored[..., 1] = np.linspace(0, 255, height).round()[:, None]
    buffer = io.BytesIO()
    Image.fromarray(stored).save(buffer, "PNG")
    decoder, out = PictureDecoder("exact"), np.empty((40, 56, 3), np.uint8)
    for seed in range(10):
        drawn, how, preprocessing = uniforms(seed), Augmentation(crop=crop if crop != "evaluation" else "centre"), None
        if crop == "evaluation":
            preprocessing = Preprocessing(resize=46, crop=40)
            decoder.evaluate(memoryview(buffer.getvalue()), out, preprocessing)
            view, seen = centred_view(size, (40, 56), (46, 56 * 46 // 40)), out
        elif crop == "none":
            seen = decoder.whole(memoryview(buffer.getvalue()), out, is_flipped(how, drawn))
            view = whole_view(size, seen.shape[:2], is_flipped(how, drawn))
        else:
            decoder.train(memoryview(buffer.getvalue()), out, how, drawn)
            view, seen = train_view(size, (40, 56), how, drawn), out
        expected = np.stack([view.mask(stored[..., channel].astype(np.int64), fill=0) for channel in (0, 1)], -1)
        difference = np.abs(expected - seen[..., :2].astype(np.int64))
        assert np.percentile(difference, 98) <= max(3, 255 / min(size) * 1.5)


def test_boxes_go_where_a_masks_pixels_go() -> None:
    size, out = (200, 300), (100, 100)
    for seed in range(30):
        how = Augmentation(scale=(0.3, 1))
        view, mask = train_view(size, out, how, uniforms(seed)), np.zeros(size, np.uint8)
        mask[40:120, 60:200] = 1
        seen = np.argwhere(view.mask(mask))
        (box,) = view.boxes(np.array([[60.0, 40, 200, 120]]))
        if len(seen):
            (top, left), (bottom, right) = seen.min(0), seen.max(0) + 1
            assert np.abs(box - (left, top, right, bottom)).max() <= 1
        else:
            assert (box[2:] - box[:2]).min() <= 1


def test_a_mask_of_half_the_resolution_shows_the_same_part() -> None:
    mask = np.random.default_rng(0).integers(0, 9, (100, 150), np.uint8)
    whole = mask.repeat(2, 0).repeat(2, 1)
    for seed in range(10):
        view = train_view((200, 300), (64, 64), Augmentation(), uniforms(seed))
        assert np.array_equal(view.mask(mask), view.mask(whole))


def test_padded_crops_have_borders_of_the_fill() -> None:
    view = train_view((40, 40), (32, 32), Augmentation(crop="padded", padding=6, flip=0), np.zeros(UNIFORMS))
    seen = view.mask(np.ones((40, 40), np.uint8), fill=9)
    assert (seen[:6] == 9).all()
    assert (seen[:, :6] == 9).all()
    assert (seen[6:, 6:] == 1).all()
    assert view.boxes(np.array([[0.0, 0, 40, 40]])).tolist() == [[6, 6, 32, 32]]


def test_a_flip_turns_boxes_over() -> None:
    plain, turned = whole_view((10, 20), (10, 20)), whole_view((10, 20), (10, 20), flip=True)
    boxes = np.array([[1.0, 2, 5, 6]])
    assert plain.boxes(boxes).tolist() == boxes.tolist()
    assert turned.boxes(boxes).tolist() == [[15, 2, 19, 6]]
    assert isinstance(turned, View)


@pytest.mark.parametrize("name", ["scale", "ratio"])
def test_one_number_in_place_of_two_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match=rf"data.augment.{name}=0\.5 must be two"):
        Augmentation(**{name: 0.5})  # type: ignore[arg-type]
