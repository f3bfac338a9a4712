"""Any picture that Pillow reads, as the RGB that Pillow gives: the general path, and the measure of the fast one.

The Exif orientation is left alone, as torchvision's and timm's loaders do, unless a picture is asked for upright.
"""

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tarn.sharding.pillow import MOST_PIXELS, Bytes, decoding, open_picture
from tarn.sharding.pillow import BrokenPictureError as BrokenPictureError
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

Pixels = NDArray[np.uint8]

RESAMPLING = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}  # Pillow antialiases both


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
    return np.asarray(centre_crop(resize_shorter(to_rgb(image), resize, interpolation), crop))


def resize_shorter(image: Image.Image, size: int, interpolation: str) -> Image.Image:
    """Raises BrokenPictureError where a picture of one narrow side would grow beyond the limit."""
    sides = resized_sides(*image.size, size)
    if sides[0] * sides[1] > max(MOST_PIXELS, image.width * image.height):
        raise BrokenPictureError(
            f"too long and narrow ({image.width} x {image.height} px: {sides[0]} x {sides[1]} at the size asked for)"
        )
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
        pixels = padded_crop(resize_shorter(to_rgb(image), size, interpolation), size, augmentation.padding, uniforms)
    else:
        pixels = np.asarray(centre_crop(resize_shorter(to_rgb(image), size, interpolation), size))
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


def padded_crop(image: Image.Image, size: int, padding: int, uniforms: NDArray[np.float64]) -> Pixels:
    """A size x size window of the picture, moved by up to `padding` px over black borders."""
    centred = np.asarray(centre_crop(image, size))
    bordered = np.pad(centred, ((padding, padding), (padding, padding), (0, 0)))
    left, top = (int(uniform * (2 * padding + 1)) for uniform in uniforms[2 * ATTEMPTS : 2 * ATTEMPTS + 2])
    return bordered[top : top + size, left : left + size]
