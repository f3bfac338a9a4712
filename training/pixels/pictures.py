"""Any picture that Pillow reads, as the RGB that Pillow gives: the general path, and the measure of the fast one.

The Exif orientation is left alone, as torchvision's and timm's loaders do, unless a picture is asked for upright.
"""

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tarn.sharding.pillow import BrokenPictureError as BrokenPictureError
from tarn.sharding.pillow import Bytes, decoding, draft, open_picture
from tarn.sharding.pillow import upright as turned_upright
from tarn.training.pixels.geometry import (
    Augmentation,
    Box,
    centre_start,
    covering_sides,
    is_flipped,
    padded_start,
    resized_crop_box,
)
from tarn.training.pixels.resize.stretch import LARGEST_SIDE, window_stretch

Pixels = NDArray[np.uint8]

RESAMPLING = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}  # Pillow antialiases both
MOST_RESIZED = 2**25  # px: what a picture may grow to for the sake of its middle


def to_rgb(image: Image.Image) -> Image.Image:
    """Raises BrokenPictureError where the pixels are cut off or damaged."""
    with decoding("damaged pixels"):
        return image.convert("RGB")


def decode_eval(
    data: Bytes,
    resize: int,
    crop: int,
    interpolation: str = "bilinear",
    upright: bool = False,
    width: int | None = None,
) -> Pixels:
    """crop x crop x 3, uint8: torchvision's Resize(resize) and CenterCrop(crop) on a Pillow picture, to the bit.

    upright: as its Exif says that it is to be seen. width: of a crop that is no square; the resized picture covers it
    in the same proportion. Raises BrokenPictureError.
    """
    return evaluated(open_picture(data), resize, crop, interpolation, upright, width)


def evaluated(
    image: Image.Image, resize: int, crop: int, interpolation: str, upright: bool, width: int | None = None
) -> Pixels:
    """The same of a picture that Pillow has opened or made."""
    if upright:
        with decoding("damaged pixels"):
            image = turned_upright(image)
    across = crop if width is None else width
    return np.asarray(middle(to_rgb(image), (across * resize // crop, resize), (across, crop), interpolation))


def too_narrow(size: tuple[int, int], sides: tuple[int, int]) -> str:
    """What is wrong with a picture of one narrow side that would grow to such sides."""
    return f"too long and narrow ({size[0]} x {size[1]} px: {sides[0]} x {sides[1]} at the size asked for)"


def middle(image: Image.Image, covered: tuple[int, int], crop: tuple[int, int], interpolation: str) -> Image.Image:
    """The centre crop of the resized picture, where that is of moderate size; else of a part of it, resized by itself,
    which may differ by a level. covered, crop: width and height. Raises BrokenPictureError where a picture of one
    narrow side would grow beyond reason.
    """
    sides = covering_sides(*image.size, *covered)
    if max(sides) > LARGEST_SIDE:
        raise BrokenPictureError(too_narrow(image.size, sides))
    if sides[0] * sides[1] > max(MOST_RESIZED, image.width * image.height):
        return centre_crop(resize_part(image, sides, crop, interpolation), *crop)
    return centre_crop(resize_to_cover(image, *covered, interpolation), *crop)


def resize_part(image: Image.Image, sides: tuple[int, int], crop: tuple[int, int], interpolation: str) -> Image.Image:
    """Of the picture at these sides, the middle along the longer one, as many px as the crop has there."""
    along = int(sides[1] > sides[0])
    length, size, count = image.size[along], sides[along], crop[along]
    first = centre_start(size, count)
    stretch, end = window_stretch(length, size, first, count, interpolation)
    cut, window, box = [0, 0, *image.size], list(sides), [0.0, 0.0, *image.size]
    cut[along], cut[along + 2], window[along] = stretch.origin, end, count
    box[along], box[along + 2] = (at * length / size - stretch.origin for at in (first, first + count))
    part = image.crop((cut[0], cut[1], cut[2], cut[3]))
    return part.resize((window[0], window[1]), RESAMPLING[interpolation], box=(box[0], box[1], box[2], box[3]))


def resize_to_cover(image: Image.Image, across: int, down: int, interpolation: str) -> Image.Image:
    """A rectangle, of a square: its shorter side as long as that."""
    sides = covering_sides(*image.size, across, down)
    return image if image.size == sides else image.resize(sides, RESAMPLING[interpolation])


def centre_crop(image: Image.Image, across: int, down: int) -> Image.Image:
    left, top = centre_start(image.width, across), centre_start(image.height, down)
    return image.crop((left, top, left + across, top + down))


def decode_train(
    data: Bytes,
    size: int,
    augmentation: Augmentation,
    uniforms: NDArray[np.float64],
    exact: bool = False,
    interpolation: str = "bilinear",
    width: int | None = None,
) -> Pixels:
    """size x size x 3, uint8, its crop and flip chosen by UNIFORMS numbers in [0, 1). exact: see cut_and_resize.
    width: of a crop that is no square.

    Raises BrokenPictureError.
    """
    image, across = open_picture(data), size if width is None else width
    if augmentation.crop == "resized":
        box = resized_crop_box(image.width, image.height, augmentation, uniforms)
        pixels = np.asarray(cut_and_resize(image, box, across, size, exact, interpolation))
    else:
        pixels = np.asarray(middle(to_rgb(image), (across, size), (across, size), interpolation))
        if augmentation.crop == "padded":
            pixels = moved(pixels, augmentation.padding, uniforms)
    return pixels[:, ::-1] if is_flipped(augmentation, uniforms) else pixels


def cut_and_resize(
    image: Image.Image, box: Box, across: int, down: int, exact: bool, interpolation: str
) -> Image.Image:
    """The box's pixels alone take part. A JPEG that is far larger than needed is decoded at 1/2, 1/4 or 1/8 by its own
    DCT (Pillow's draft mode), but where it is to be exact."""
    width, height = image.size
    left, top, right, bottom = box
    if not exact:
        draft(image, None, (math.ceil(width * across / (right - left)), math.ceil(height * down / (bottom - top))))
    x, y = image.width / width, image.height / height
    outer = (int(left * x), int(top * y), math.ceil(right * x), math.ceil(bottom * y))
    part = to_rgb(image).crop((*outer[:2], min(outer[2], image.width), min(outer[3], image.height)))
    inner = (left * x - outer[0], top * y - outer[1], right * x - outer[0], bottom * y - outer[1])
    inner = (*inner[:2], min(inner[2], part.width), min(inner[3], part.height))
    return part.resize((across, down), RESAMPLING[interpolation], box=inner)


def moved(pixels: Pixels, padding: int, uniforms: NDArray[np.float64]) -> Pixels:
    """By up to `padding` px over black borders, the size kept."""
    bordered = np.pad(pixels, ((padding, padding), (padding, padding), (0, 0)))
    left, top = (padding + start for start in padded_start(padding, uniforms))
    return bordered[top : top + len(pixels), left : left + pixels.shape[1]]
