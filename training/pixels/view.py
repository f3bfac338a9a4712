"""Where the pixels of a crop come from, in whole numbers: what masks and boxes of a picture go by."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tarn.training.pixels.geometry import (
    Augmentation,
    Size,
    centre_start,
    covering_sides,
    is_flipped,
    padded_start,
    resized_crop_box,
)


@dataclass(frozen=True, slots=True)
class Axis:
    """Pixel i of `size` shows the picture from (start + i * step) / divisor to (start + (i + 1) * step) / divisor px.

    length: of the picture. first, end: the pixels that show it; those outside show a border.
    """

    start: int
    step: int
    divisor: int
    size: int
    length: int
    first: int
    end: int

    @classmethod
    def of_box(cls, low: int, high: int, size: int, length: int) -> "Axis":
        """The picture from `low` to `high` px, stretched to `size` pixels."""
        return cls(low * size, high - low, size, size, length, 0, size)

    @classmethod
    def of_window(cls, start: int, resized: int, size: int, length: int, first: int = 0, end: int = 0) -> "Axis":
        """`size` pixels from `start` on of the picture resized to `resized` px."""
        return cls(start * length, length, resized, size, length, first, end or size)

    def nearest(self, length: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """For each pixel the one that its centre lies in, of something `length` px long that shows all of the picture;
        and whether there is one. Pillow's NEAREST and torch's nearest-exact, without their rounding."""
        pixels = np.arange(self.size, dtype=np.int64)
        centres = 2 * self.start + (2 * pixels + 1) * self.step
        found = centres * length // (2 * self.divisor * self.length)
        inside = (found >= 0) & (found < length) & (pixels >= self.first) & (pixels < self.end)
        return found.clip(0, length - 1), inside

    def mapped(self, places: NDArray[np.float64]) -> NDArray[np.float64]:
        """Px of the picture as px of the crop, clipped to what shows the picture."""
        return ((places * self.divisor - self.start) / self.step).clip(self.first, self.end)


@dataclass(frozen=True, slots=True)
class View:
    """What a crop shows of its picture; flip: mirrored left to right after all else."""

    across: Axis
    down: Axis
    flip: bool = False

    @property
    def stored(self) -> Size:
        """Of the picture."""
        return self.down.length, self.across.length

    @property
    def size(self) -> Size:
        """Of the crop."""
        return self.down.size, self.across.size

    def mask(self, mask: NDArray[np.integer], fill: int = 0) -> NDArray[np.integer]:
        """height x width of the crop, of a mask of the whole picture, h x w, at its or another resolution. fill: of
        pixels that show no picture."""
        rows, columns = self.down.nearest(mask.shape[0]), self.across.nearest(mask.shape[1])
        seen = mask[rows[0][:, None], columns[0][None, :]]
        if not np.can_cast(needed := np.min_scalar_type(fill), seen.dtype):
            seen = seen.astype(np.promote_types(seen.dtype, needed))
        seen[~rows[1]] = fill
        seen[:, ~columns[1]] = fill
        return seen[:, ::-1] if self.flip else seen

    def boxes(self, boxes: NDArray[np.float64]) -> NDArray[np.float64]:
        """N x 4 (left, top, right, bottom) in px of the crop and clipped to it, of boxes in px of the picture."""
        mapped = np.empty(boxes.shape, np.float64)
        mapped[:, 0::2], mapped[:, 1::2] = self.across.mapped(boxes[:, 0::2]), self.down.mapped(boxes[:, 1::2])
        if self.flip:
            mapped[:, 0::2] = self.across.size - mapped[:, 2::-2]
        return mapped


def train_view(stored: Size, out: Size, augmentation: Augmentation, uniforms: NDArray[np.float64]) -> View:
    """Of the crop that decode.py makes by the same random numbers."""
    (height, width), flip = stored, is_flipped(augmentation, uniforms)
    if augmentation.crop == "none":
        return whole_view(stored, out, flip)
    if augmentation.crop == "resized":
        left, top, right, bottom = resized_crop_box(width, height, augmentation, uniforms)
        return View(Axis.of_box(left, right, out[1], width), Axis.of_box(top, bottom, out[0], height), flip)
    view = centred_view(stored, out, out)
    if augmentation.crop != "padded":
        return View(view.across, view.down, flip)
    moved = padded_start(augmentation.padding, uniforms)
    return View(shifted(view.across, moved[0]), shifted(view.down, moved[1]), flip)


def centred_view(stored: Size, out: Size, covered: Size) -> View:
    """The middle of the picture, resized until it covers a height and width."""
    height, width = stored
    sides = covering_sides(width, height, covered[1], covered[0])
    across = Axis.of_window(centre_start(sides[0], out[1]), sides[0], out[1], width)
    return View(across, Axis.of_window(centre_start(sides[1], out[0]), sides[1], out[0], height))


def whole_view(stored: Size, out: Size, flip: bool = False) -> View:
    (height, width), (rows, columns) = stored, out
    return View(Axis.of_box(0, width, columns, width), Axis.of_box(0, height, rows, height), flip)


def shifted(axis: Axis, by: int) -> Axis:
    """A window moved by so many pixels, of a picture that goes on nowhere outside of it."""
    first, end = max(0, -by), min(axis.size, axis.size - by)
    start = axis.start + by * axis.step
    return Axis(start, axis.step, axis.divisor, axis.size, axis.length, first, end)
