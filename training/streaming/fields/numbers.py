"""Fields of numbers: of one class or several, probabilities, single numbers, arrays."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from tarn.sharding.errors import UsageError
from tarn.training.pixels.geometry import Size
from tarn.training.streaming.fields.errors import FieldError
from tarn.training.streaming.fields.field import Column, Field, Shown, as_array
from tarn.training.streaming.fields.reading import TEXTS, read

DTYPES = ("float32", "float64", "int64", "int32", "uint8")


@dataclass(frozen=True)
class Label(Field):
    """The class's number as the index has it: B int64."""

    source: str = "label"

    of_members = False

    def column(self, size: Size, whole: bool) -> Column:
        return Column((), "int64")

    def value(self, members: Any, shown: Shown) -> int:
        return shown.label

    def checked(self, value: Any, size: Size) -> Any:
        return as_array(value, (), "int64", "one whole number")


@dataclass(frozen=True)
class Number(Field):
    """One number of a txt, cls, json or npy: B of the dtype. missing: stands for one that is not there."""

    dtype: str = "float32"
    missing: float = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_dtype(self)

    def column(self, size: Size, whole: bool) -> Column:
        return Column((), self.dtype)

    def decoded(self, raw: memoryview, ending: str, shown: Shown) -> Any:
        value = read(raw, self.path, ending)
        return self.checked(number(value) if isinstance(value, str) else value, (0, 0))

    def empty(self, shown: Shown) -> Any:
        return np.dtype(self.dtype).type(self.missing)

    def checked(self, value: Any, size: Size) -> Any:
        return as_array(value, (), self.dtype, f"one number ({self.dtype})")


@dataclass(frozen=True)
class MultiLabel(Field):
    """Classes that a sample has, as a list of numbers or names (json), or set apart by blanks, commas or lines (cls,
    txt): B x classes float32, 1 for those. classes: how many, or their names in order."""

    classes: int | tuple[str, ...] = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        told: object = self.classes
        if not isinstance(told, int | list | tuple):
            raise UsageError(f"MultiLabel({self.source!r}): classes={told!r} must be a number, or a list of names.")
        if not isinstance(self.classes, int):
            object.__setattr__(self, "classes", tuple(self.classes))
        if self.count < 1:
            raise UsageError(f"MultiLabel({self.source!r}) needs classes=, how many there are or their names.")

    @property
    def count(self) -> int:
        return self.classes if isinstance(self.classes, int) else len(self.classes)

    def column(self, size: Size, whole: bool) -> Column:
        return Column((self.count,), "float32")

    def decoded(self, raw: memoryview, ending: str, shown: Shown) -> Any:
        value = read(raw, self.path, ending)
        if isinstance(value, str):
            value = [word.strip() for word in value.replace(",", "\n").splitlines() if word.strip()]
            value = value if not isinstance(self.classes, int) else [each for word in value for each in word.split()]
        found = self.empty(shown)
        for each in value if isinstance(value, list | np.ndarray) else [value]:
            found[self.place(each)] = 1
        return found

    def place(self, told: Any) -> int:
        if not isinstance(self.classes, int) and told in self.classes:
            return self.classes.index(told)
        try:
            place = int(told)
        except (TypeError, ValueError):
            place = -1
        if not 0 <= place < self.count:
            raise FieldError(f"has the class {told!r}, which is none of the {self.count}")
        return place

    def empty(self, shown: Shown) -> Any:
        return np.zeros(self.count, np.float32)

    def checked(self, value: Any, size: Size) -> Any:
        return as_array(value, (self.count,), "float32", f"{self.count} numbers, one for each class")


@dataclass(frozen=True)
class SoftLabel(Field):
    """A number for each class (npy, json), such as a teacher's probabilities: B x classes float32."""

    classes: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        told: object = self.classes
        if not isinstance(told, int) or told < 1:
            raise UsageError(f"SoftLabel({self.source!r}) needs classes=, how many there are, and got {told!r}.")

    def column(self, size: Size, whole: bool) -> Column:
        return Column((self.classes,), "float32")

    def decoded(self, raw: memoryview, ending: str, shown: Shown) -> Any:
        return self.checked(read(raw, self.path, ending), (0, 0))

    def empty(self, shown: Shown) -> Any:
        return np.zeros(self.classes, np.float32)

    def checked(self, value: Any, size: Size) -> Any:
        return as_array(value, (self.classes,), "float32", f"{self.classes} numbers, one for each class")


@dataclass(frozen=True)
class Array(Field):
    """Numbers of an npy, of one of an npz, or of a json. shape: of every sample's, B x shape of the dtype then; without
    it a list of arrays as they are."""

    shape: tuple[int, ...] | None = None
    dtype: str = "float32"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_dtype(self)

    def column(self, size: Size, whole: bool) -> Column | None:
        return Column(tuple(self.shape), self.dtype) if self.shape is not None else None

    def decoded(self, raw: memoryview, ending: str, shown: Shown) -> Any:
        value = read(raw, self.path, ending)
        if isinstance(value, dict) and self.shape is None:
            return value
        return self.checked(value, (0, 0))

    def empty(self, shown: Shown) -> Any:
        return np.zeros(self.shape if self.shape is not None else (0,), self.dtype)

    def checked(self, value: Any, size: Size) -> Any:
        if self.shape is not None:
            shape = "x".join(map(str, self.shape))
            return as_array(value, tuple(self.shape), self.dtype, f"{shape} numbers ({self.dtype})")
        found = np.asarray(value)
        if not (np.issubdtype(found.dtype, np.number) or found.dtype == np.bool_):
            raise FieldError(f"is {found.dtype}, expected numbers")
        return found


def check_dtype(told: Number | Array) -> None:
    """Raises UsageError."""
    if told.dtype not in DTYPES:
        raise UsageError(f"dtype={told.dtype!r} is unknown: choose one of {', '.join(DTYPES)}.")


def number(text: str) -> float | int:
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        raise FieldError(f"is {text.strip()[:40]!r}, expected one number ({', '.join(TEXTS)})") from None
