"""Which part of a picture a sample shows: the geometry of training crops, and of evaluation's."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tarn.sharding.errors import UsageError

Box = tuple[int, int, int, int]
Size = tuple[int, int]  # height and width in px

UNIFORMS = 24  # random numbers that one sample may use: 10 attempts of 2, a corner of 2, one for the flip
ATTEMPTS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Augmentation:
    """What happens to a training picture's geometry.

    crop "resized" is Inception's random resized crop (Szegedy et al. 2014, arXiv 1409.4842) with torchvision's
    sampling; "padded" is CIFAR's shifted crop (He et al. 2015, section 4.2); "centre" draws nothing; "none" gives whole
    pictures (ShardLoader's alone).
    """

    crop: str = "resized"
    """resized (a random part at a random aspect ratio), padded (shifted over black borders) or centre."""
    scale: tuple[float, float] = (0.08, 1.0)
    """resized: the least and the largest part of the picture's area."""
    ratio: tuple[float, float] = (3 / 4, 4 / 3)
    """resized: the least and the largest width by height."""
    padding: int = 4
    """padded: px of border on each side."""
    flip: float = 0.5
    """Chance of a mirrored picture."""
    flip_mode: str = "random"
    """random, or alternate: by chance in a picture's first epoch, then every other time (Jordan 2024)."""

    def __post_init__(self) -> None:
        if self.flip_mode not in ("random", "alternate"):
            raise UsageError(f"data.augment.flip_mode={self.flip_mode!r} is unknown: choose random or alternate.")
        if self.flip_mode == "alternate" and self.flip != 0.5:
            raise UsageError(
                f"data.augment.flip_mode=alternate mirrors a picture every other time: flip={self.flip} must be 0.5."
            )
        if self.crop not in ("resized", "padded", "centre", "none"):
            raise UsageError(f"data.augment.crop={self.crop!r} is unknown: choose resized, padded, centre or none.")
        for name, what in (("scale", "areas"), ("ratio", "ratios")):
            told: object = getattr(self, name)
            if not isinstance(told, tuple | list) or len(told) != 2:
                raise UsageError(f"data.augment.{name}={told!r} must be two {what}: the least one and the largest one.")
        if not 0 < self.scale[0] <= self.scale[1] <= 1:
            raise UsageError(f"data.augment.scale={list(self.scale)} must be two areas with 0 < low <= high <= 1.")
        if not 0 < self.ratio[0] <= self.ratio[1]:
            raise UsageError(f"data.augment.ratio={list(self.ratio)} must be two ratios with 0 < low <= high.")
        if self.padding < 0 or not 0 <= self.flip <= 1:
            raise UsageError(
                f"data.augment.padding={self.padding} must be at least 0, and flip={self.flip} between 0 and 1."
            )


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


def covering_sides(width: int, height: int, across: int, down: int) -> tuple[int, int]:
    """Width and height once the picture, its shape kept, covers a rectangle; of a square, its shorter side is as long
    as that: torchvision's Resize."""
    if width * down <= height * across:
        return across, max(down, int(across * height / width))
    return max(across, int(down * width / height)), down


def fitting_sides(width: int, height: int, pixels: int) -> tuple[int, int]:
    """Width and height of a whole picture of at most so many pixels, its shape kept; none is made larger."""
    if width * height <= pixels:
        return width, height
    part = math.sqrt(pixels / (width * height))
    across, down = max(1, int(width * part)), max(1, int(height * part))
    return min(across, pixels), min(down, max(1, pixels // across))


def padded_start(padding: int, uniforms: NDArray[np.float64]) -> tuple[int, int]:
    """px, across and down, by which a padded crop is moved."""
    left, top = (int(uniform * (2 * padding + 1)) for uniform in uniforms[2 * ATTEMPTS : 2 * ATTEMPTS + 2])
    return left - padding, top - padding


def centre_start(side: int, crop: int) -> int:
    """First px of `crop` px in the middle of a side; below 0 where it is shorter: torchvision's CenterCrop."""
    return round((side - crop) / 2.0)


def is_flipped(augmentation: Augmentation, uniforms: NDArray[np.float64]) -> bool:
    return bool(uniforms[-1] < augmentation.flip)
