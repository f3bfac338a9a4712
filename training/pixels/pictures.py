"""Any picture that Pillow reads, as the RGB that Pillow gives: the general path, and the measure of the fast one.

The Exif orientation is left alone, as torchvision's and timm's loaders do, unless a picture is asked for upright.
"""

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tarn.sharding.pillow import BrokenPictureError as BrokenPictureError
from tarn.sharding.pillow import Bytes, decoding, open_picture
from tarn.sharding.pillow import upright as turned_upright
from tarn.training.pixels.geometry import (
    ATTEMPTS,
    Augmentation,
    Box,
    centre_start,
    is_flipped,
    resized_crop_box,
    resized_sides,
)
from tarn.training.pixels.resize.stretch import LARGEST_SIDE, window_stretch

Pixels = NDArray[np.uint8]

RESAMPLING = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}  # Pillow antialiases both
MOST_RESIZED = 2**25  # px: what a picture may grow to for the sake of its middle


def to_rgb(image: Image.Image) -> Image.Image:
    """Raises BrokenPictureError where the pixels are cut off or damaged."""
    with decoding("damaged pixels"):
        return image.convert("RGB")


def decode_eval(data: Bytes, resize: int, crop: int, interpolation: str = "bilinear", upright: bool = False) -> Pixels:
    """crop x crop x 3, uint8: torchvision's Resize(resize) and CenterCrop(crop) on a Pillow picture, to the bit.

    upright: as its Exif says that it is to be seen. Raises BrokenPictureError.
    """
    return evaluated(open_picture(data), resize, crop, interpolation, upright)


def evaluated(image: Image.Image, resize: int, crop: int, interpolation: str, upright: bool) -> Pixels:
    """The same of a picture that Pillow has opened or made."""
    if upright:
        with decoding("damaged pixels"):
            image = turned_upright(image)
    return np.asarray(middle(to_rgb(image), resize, crop, interpolation))


def too_narrow(size: tuple[int, int], sides: tuple[int, int]) -> str:
    """What is wrong with a picture of one narrow side that would grow to such sides."""
    return f"too long and narrow ({size[0]} x {size[1]} px: {sides[0]} x {sides[1]} at the size asked for)"


def middle(image: Image.Image, resize: int, crop: int, interpolation: str) -> Image.Image:
    """The centre crop of the resized picture, where that is of moderate size; else of a part of it, resized by itself,
    which may differ by a level. Raises BrokenPictureError where a picture of one narrow side would grow beyond reason.
    """
    sides = resized_sides(*image.size, resize)
    if max(sides) > LARGEST_SIDE:
        raise BrokenPictureError(too_narrow(image.size, sides))
    if sides[0] * sides[1] > max(MOST_RESIZED, image.width * image.height):
        image = resize_part(image, sides, crop, interpolation)
    else:
        image = resize_shorter(image, resize, interpolation)
    return centre_crop(image, crop)


def resize_part(image: Image.Image, sides: tuple[int, int], crop: int, interpolation: str) -> Image.Image:
    """Of the picture at these sides, the middle `crop` px along the longer one."""
    along = int(sides[1] > sides[0])
    length, size = image.size[along], sides[along]
    first = centre_start(size, crop)
    stretch, end = window_stretch(length, size, first, crop, interpolation)
    cut, window = [0, 0, *image.size], list(sides)
    cut[along], cut[along + 2], window[along] = stretch.origin, end, crop
    box = [0.0, 0.0, *image.size]
    box[along], box[along + 2] = ((at * length / size) - stretch.origin for at in (first, first + crop))
    part = image.crop((cut[0], cut[1], cut[2], cut[3]))
    return part.resize((window[0], window[1]), RESAMPLING[interpolation], box=(box[0], box[1], box[2], box[3]))


def resize_shorter(image: Image.Image, size: int, interpolation: str) -> Image.Image:
    sides = resized_sides(*image.size, size)
    return image if image.size == sides else image.resize(sides, RESAMPLING[interpolation])


def centre_crop(image: Image.Image, size: int) -> Image.Image:
    left, top = centre_start(image.width, size), centre_start(image.height, size)
    return image.crop((left, top, left + size, top + size))


def decode_train(
    data: Bytes,
    size: int,
    augmentation: Augmentation,
    uniforms: NDArray[np.float64],
    exact: bool = False,
    interpolation: str = "bilinear",
) -> Pixels:
    """size x size x 3, uint8, its crop and flip chosen by UNIFORMS numbers in [0, 1). exact: see cut_and_resize.

    Raises BrokenPictureError.
    """
    image = open_picture(data)
    if augmentation.crop == "resized":
        box = resized_crop_box(image.width, image.height, augmentation, uniforms)
        pixels = np.asarray(cut_and_resize(image, box, size, exact, interpolation))
    elif augmentation.crop == "padded":
        pixels = padded_crop(evaluated(image, size, size, interpolation, False), augmentation.padding, uniforms)
    else:
        pixels = evaluated(image, size, size, interpolation, False)
    return pixels[:, ::-1] if is_flipped(augmentation, uniforms) else pixels


def cut_and_resize(image: Image.Image, box: Box, size: int, exact: bool, interpolation: str) -> Image.Image:
    """The box's pixels alone take part. A JPEG that is far larger than needed is decoded at 1/2, 1/4 or 1/8 by its own
    DCT (Pillow's draft mode), but where it is to be exact."""
    width, height = image.size
    left, top, right, bottom = box
    if not exact:
        image.draft(None, (math.ceil(width * size / (right - left)), math.ceil(height * size / (bottom - top))))
    x, y = image.width / width, image.height / height
    outer = (int(left * x), int(top * y), math.ceil(right * x), math.ceil(bottom * y))
    part = to_rgb(image).crop((*outer[:2], min(outer[2], image.width), min(outer[3], image.height)))
    inner = (left * x - outer[0], top * y - outer[1], right * x - outer[0], bottom * y - outer[1])
    inner = (*inner[:2], min(inner[2], part.width), min(inner[3], part.height))
    return part.resize((size, size), RESAMPLING[interpolation], box=inner)


def padded_crop(centred: Pixels, padding: int, uniforms: NDArray[np.float64]) -> Pixels:
    """A window of size x size x 3 pixels, moved by up to `padding` px over black borders."""
    size = len(centred)
    bordered = np.pad(centred, ((padding, padding), (padding, padding), (0, 0)))
    left, top = (int(uniform * (2 * padding + 1)) for uniform in uniforms[2 * ATTEMPTS : 2 * ATTEMPTS + 2])
    return bordered[top : top + size, left : left + size]
