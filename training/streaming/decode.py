"""From a picture's bytes to uint8 pixels, through Pillow.

The EXIF orientation is left alone, as torchvision's and timm's loaders do.
"""

import io
import math
import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sharding.errors import UsageError

Bytes = bytes | memoryview
Pixels = NDArray[np.uint8]
Box = tuple[int, int, int, int]

UNIFORMS = 24  # random numbers that one sample may use: 10 attempts of 2, a corner of 2, one for the flip
ATTEMPTS = 10


class BrokenPictureError(ValueError):
    """Bytes that are no whole picture."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Augmentation:
    """What happens to a training picture's geometry.

    crop "resized" is Inception's random resized crop (Szegedy et al. 2014, arXiv 1409.4842) with torchvision's
    sampling; "padded" is CIFAR's shifted crop (He et al. 2015, section 4.2); "centre" draws nothing.
    """

    crop: str = "resized"
    scale: tuple[float, float] = (0.08, 1.0)
    ratio: tuple[float, float] = (3 / 4, 4 / 3)
    padding: int = 4
    flip: float = 0.5

    def __post_init__(self) -> None:
        if self.crop not in ("resized", "padded", "centre"):
            raise UsageError(f"data.augment.crop={self.crop!r} is unknown: choose resized, padded or centre.")
        if not 0 < self.scale[0] <= self.scale[1] <= 1:
            raise UsageError(f"data.augment.scale={list(self.scale)} must be two areas with 0 < low <= high <= 1.")
        if not 0 < self.ratio[0] <= self.ratio[1]:
            raise UsageError(f"data.augment.ratio={list(self.ratio)} must be two ratios with 0 < low <= high.")
        if self.padding < 0 or not 0 <= self.flip <= 1:
            raise UsageError(
                f"data.augment.padding={self.padding} must be at least 0, and flip={self.flip} between 0 and 1."
            )


def open_picture(data: Bytes) -> Image.Image:
    """Raises BrokenPictureError where not even the header can be read."""
    try:
        return Image.open(io.BytesIO(data))
    except (OSError, ValueError, SyntaxError, struct.error, Image.DecompressionBombError) as error:
        raise BrokenPictureError(f"not a readable picture ({error})") from error


def to_rgb(image: Image.Image) -> Image.Image:
    """Raises BrokenPictureError where the pixels are cut off or damaged."""
    try:
        return image.convert("RGB")
    except (OSError, ValueError, SyntaxError, struct.error, IndexError) as error:
        raise BrokenPictureError(f"damaged pixels ({error})") from error


def decode_eval(data: Bytes, resize: int, crop: int) -> Pixels:
    """crop x crop x 3, uint8: torchvision's Resize(resize) and CenterCrop(crop) on a Pillow picture, to the bit.

    Raises BrokenPictureError.
    """
    return np.asarray(centre_crop(resize_shorter(to_rgb(open_picture(data)), resize), crop))


def resize_shorter(image: Image.Image, size: int) -> Image.Image:
    width, height = image.size
    if min(width, height) == size:
        return image
    if width <= height:
        return image.resize((size, int(size * height / width)), Image.Resampling.BILINEAR)
    return image.resize((int(size * width / height), size), Image.Resampling.BILINEAR)


def centre_crop(image: Image.Image, size: int) -> Image.Image:
    left, top = round((image.width - size) / 2.0), round((image.height - size) / 2.0)
    return image.crop((left, top, left + size, top + size))


def decode_train(data: Bytes, size: int, augmentation: Augmentation, uniforms: NDArray[np.float64]) -> Pixels:
    """size x size x 3, uint8, its crop and flip chosen by UNIFORMS numbers in [0, 1).

    Raises BrokenPictureError.
    """
    image = open_picture(data)
    if augmentation.crop == "resized":
        box = resized_crop_box(image.width, image.height, augmentation, uniforms)
        pixels = np.asarray(cut_and_resize(image, box, size))
    elif augmentation.crop == "padded":
        pixels = padded_crop(to_rgb(image), size, augmentation.padding, uniforms)
    else:
        pixels = np.asarray(centre_crop(resize_shorter(to_rgb(image), size), size))
    return pixels[:, ::-1] if uniforms[-1] < augmentation.flip else pixels


def resized_crop_box(width: int, height: int, augmentation: Augmentation, uniforms: NDArray[np.float64]) -> Box:
    """(left, top, right, bottom) in px: torchvision's RandomResizedCrop.get_params with given random numbers."""
    low, high = augmentation.scale
    narrow, wide = (math.log(ratio) for ratio in augmentation.ratio)
    for attempt in range(ATTEMPTS):
        area = width * height * (low + (high - low) * uniforms[2 * attempt])
        ratio = math.exp(narrow + (wide - narrow) * uniforms[2 * attempt + 1])
        w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < w <= width and 0 < h <= height:
            left = int(uniforms[2 * ATTEMPTS] * (width - w + 1))
            top = int(uniforms[2 * ATTEMPTS + 1] * (height - h + 1))
            return left, top, left + w, top + h
    return central_box(width, height, augmentation.ratio)


def central_box(width: int, height: int, ratio: tuple[float, float]) -> Box:
    """The largest centred box whose aspect ratio is allowed."""
    w, h = width, height
    if width / height < ratio[0]:
        h = round(width / ratio[0])
    elif width / height > ratio[1]:
        w = round(height * ratio[1])
    left, top = (width - w) // 2, (height - h) // 2
    return left, top, left + w, top + h


def cut_and_resize(image: Image.Image, box: Box, size: int) -> Image.Image:
    """A JPEG that is far larger than needed is decoded at 1/2, 1/4 or 1/8 by its own DCT (Pillow's draft mode)."""
    width, height = image.size
    left, top, right, bottom = box
    image.draft(None, (math.ceil(width * size / (right - left)), math.ceil(height * size / (bottom - top))))
    x, y = image.width / width, image.height / height
    region = (left * x, top * y, min(right * x, image.width), min(bottom * y, image.height))
    return to_rgb(image).resize((size, size), Image.Resampling.BILINEAR, box=region)


def padded_crop(image: Image.Image, size: int, padding: int, uniforms: NDArray[np.float64]) -> Pixels:
    """A size x size window of the picture, moved by up to `padding` px over black borders."""
    centred = np.asarray(centre_crop(resize_shorter(image, size), size))
    bordered = np.pad(centred, ((padding, padding), (padding, padding), (0, 0)))
    left, top = (int(uniform * (2 * padding + 1)) for uniform in uniforms[2 * ATTEMPTS : 2 * ATTEMPTS + 2])
    return bordered[top : top + size, left : left + size]
