"""Fields that lie on the picture, and are cropped, resized and mirrored as it is: masks, boxes, other pictures."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tarn.sharding.errors import UsageError
from tarn.sharding.pillow import BrokenPictureError
from tarn.training.pixels.geometry import Size
from tarn.training.streaming.fields.arrays import as_array, check_dtype
from tarn.training.streaming.fields.errors import FieldError
from tarn.training.streaming.fields.field import Column, Field, Shown
from tarn.training.streaming.fields.reading import read, read_mask

WRITTEN = ("xyxy", "xywh", "cxcywh")
MASKS = ("uint8", "int32", "int64")


@dataclass(frozen=True)
class Mask(Field):
    """A number for each pixel, of a picture with one channel or an npy: B x H x W. It may have another resolution than
    the picture, and must have its shape. fill: where a crop shows no picture, and of a mask that is missing."""

    fill: int = 0
    dtype: str = "uint8"

    of_pixels = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.dtype not in MASKS:
            raise UsageError(f"dtype={self.dtype!r} of a mask is unknown: choose one of {', '.join(MASKS)}.")
        if not isinstance(self.fill, int) or not np.iinfo(self.dtype).min <= self.fill <= np.iinfo(self.dtype).max:
            raise UsageError(
                f"Mask({self.source!r}, fill={self.fill!r}) must be a number of {self.dtype}: give it dtype='int64'."
            )

    def column(self, size: Size, whole: bool) -> Column | None:
        return None if whole else Column(size, self.dtype)

    def decoded(self, raw: memoryview, ending: str, shown: Shown) -> NDArray[Any]:
        mask, (height, width) = read_mask(raw, ending), shown.view.stored
        rounding = max(height, width)
        if not mask.size or abs(mask.shape[0] * width - mask.shape[1] * height) > rounding:
            raise FieldError(f"is {told(mask)} px of a picture of {height} x {width}: both must have one shape")
        seen = shown.view.mask(mask, self.fill)
        limits = np.iinfo(self.dtype)
        if seen.size and not limits.min <= seen.min() <= seen.max() <= limits.max:
            beyond = seen.min() if seen.min() < limits.min else seen.max()
            raise FieldError(f"holds {beyond}, beyond {self.dtype}: give it dtype='int32'")
        return np.array(seen, self.dtype, order="C")

    def empty(self, shown: Shown) -> NDArray[Any]:
        return np.full(shown.view.size, self.fill, self.dtype)

    def checked(self, value: Any, size: Size) -> NDArray[Any]:
        return as_array(value, size, self.dtype, f"{size[0]} x {size[1]} whole numbers ({self.dtype})")


@dataclass(frozen=True)
class Boxes(Field):
    """A list of boxes (json, npy): a list of N x 4 float32, left, top, right, bottom in px of the batch's picture,
    clipped to it. written: how they stand in the member, in px of its picture, or in parts of it (relative). least:
    boxes of which no more px than that are to be seen, across or down, are left out, with what BoxLabels tell of them;
    None keeps all."""

    written: str = "xyxy"
    relative: bool = False
    least: float | None = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.written not in WRITTEN:
            raise UsageError(f"written={self.written!r} is unknown: choose one of {', '.join(WRITTEN)}.")

    def decoded(self, raw: memoryview, ending: str, shown: Shown) -> NDArray[np.float32]:
        boxes = as_array(read(raw, self.path, ending), (None, 4), "float64", "N x 4 numbers")
        if not np.isfinite(boxes).all():
            raise FieldError("holds numbers that are none (nan, inf)")
        if self.relative:
            height, width = shown.view.stored
            boxes = boxes * (width, height, width, height)
        ends = corners(boxes, self.written)
        if turned := np.flatnonzero((ends[:, 2:] < ends[:, :2]).any(1)).tolist():
            box = " ".join(f"{side:g}" for side in boxes[turned[0]])
            raise FieldError(
                f"has the box {box}, which ends before it begins, read as {self.written}: give written= as it stands "
                f"there, one of {', '.join(WRITTEN)}"
            )
        return shown.view.boxes(ends).astype(np.float32)

    def empty(self, shown: Shown) -> NDArray[np.float32]:
        return np.zeros((0, 4), np.float32)

    def value(self, members: Any, shown: Shown) -> NDArray[np.float32]:
        boxes: NDArray[np.float32] = super().value(members, shown)
        sides = boxes[:, 2:] - boxes[:, :2]
        kept = np.array([self.least is None or min(side) > self.least for side in sides.tolist()], np.bool_)
        shown.kept[shown.name] = kept
        return boxes[kept]

    def checked(self, value: Any, size: Size) -> NDArray[Any]:
        return as_array(value, (None, 4), "float32", "N x 4 numbers")


@dataclass(frozen=True)
class BoxLabels(Field):
    """What is told of each box (json, npy), in the boxes' order: a list of arrays of N numbers. boxes: the name of the
    field of their Boxes, which stands before this one. classes: names in order, for labels that are names."""

    boxes: str = ""
    dtype: str = "int64"
    classes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        told: object = self.classes
        if not isinstance(told, list | tuple):
            raise UsageError(f"BoxLabels({self.source!r}): classes={self.classes!r} must be a list of names, in order.")
        object.__setattr__(self, "classes", tuple(self.classes))
        if not self.boxes:
            raise UsageError(f"BoxLabels({self.source!r}) needs boxes=, the name of the field of their Boxes.")
        check_dtype(self.dtype)

    def value(self, members: Any, shown: Shown) -> NDArray[Any]:
        labels, kept = super().value(members, shown), shown.kept[self.boxes]
        if len(labels) != len(kept):
            raise FieldError(f"tells of {len(labels)} boxes, there are {len(kept)}")
        return np.asarray(labels[kept])

    def decoded(self, raw: memoryview, ending: str, shown: Shown) -> NDArray[Any]:
        value = read(raw, self.path, ending)
        if isinstance(value, list) and any(isinstance(each, str) for each in value):
            value = [self.number(each) for each in value]
        return self.checked(value, (0, 0))

    def number(self, told: object) -> object:
        if told in self.classes:
            return self.classes.index(str(told))
        if not self.classes:
            raise FieldError(f"has the label {told!r}: give classes=, the names in the order of their numbers")
        raise FieldError(f"has the label {told!r}, which is none of the {len(self.classes)} in classes")

    def empty(self, shown: Shown) -> NDArray[Any]:
        return np.zeros(0, self.dtype)

    def checked(self, value: Any, size: Size) -> NDArray[Any]:
        return as_array(value, (None,), self.dtype, f"N numbers ({self.dtype})")


@dataclass(frozen=True)
class Picture(Field):
    """Another picture of the sample, B x H x W x 3 uint8, cropped and mirrored by the same random numbers: of the same
    size as the sample's own, it shows the same part."""

    of_pixels = True

    def column(self, size: Size, whole: bool) -> Column | None:
        return None if whole else Column((*size, 3), "uint8")

    def decoded(self, raw: memoryview, ending: str, shown: Shown) -> NDArray[np.uint8]:
        out = np.empty((*shown.view.size, 3), np.uint8)
        try:
            if shown.whole:
                return shown.decoder.whole(raw, out, shown.view.flip)
            if shown.augmentation is None:
                shown.decoder.evaluate(raw, out, shown.preprocessing)
            else:
                shown.decoder.train(raw, out, shown.augmentation, shown.uniforms)
        except BrokenPictureError as error:
            raise FieldError(f"is {error}") from error
        return out

    def empty(self, shown: Shown) -> NDArray[np.uint8]:
        return np.zeros((*shown.view.size, 3), np.uint8)

    def checked(self, value: Any, size: Size) -> NDArray[Any]:
        return as_array(value, (*size, 3), "uint8", f"{size[0]} x {size[1]} x 3 of uint8")


def corners(boxes: NDArray[np.float64], written: str) -> NDArray[np.float64]:
    """As left, top, right, bottom."""
    if written == "xyxy":
        return boxes
    start = boxes[:, :2] - (boxes[:, 2:] / 2 if written == "cxcywh" else 0)
    return np.concatenate([start, start + boxes[:, 2:]], 1)


def told(mask: NDArray[Any]) -> str:
    return f"{mask.shape[0]} x {mask.shape[1]}"
