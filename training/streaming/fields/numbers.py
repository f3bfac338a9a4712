"""Fields of numbers: of one class or several, probabilities, single numbers, arrays."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tarn.sharding.errors import UsageError
from tarn.training.pixels.geometry import Size
from tarn.training.streaming.fields.errors import FieldError
from tarn.training.streaming.fields.field import Column, Field, Shown, as_array, check_dtype
from tarn.training.streaming.fields.reading import TEXTS, read


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
        check_dtype(self.dtype)
        try:
            self.checked(self.missing, (0, 0))
        except FieldError as error:
            raise UsageError(f"Number({self.source!r}, missing={self.missing!r}) {error}.") from None

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
        if isinstance(told, list | tuple):
            object.__setattr__(self, "classes", tuple(told))
        if not isinstance(told, int | list | tuple) or self.count < 1 or len(set(self.names)) < len(self.names):
            raise UsageError(
                f"MultiLabel({self.source!r}) needs classes=, how many there are or a list of their names, each once."
            )

    @property
    def names(self) -> tuple[str, ...]:
        """None of them where classes are numbers alone."""
        return () if isinstance(self.classes, int) else self.classes

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
        for each in each_of(value):
            found[self.place(each)] = 1
        return found

    def place(self, told: Any) -> int:
        """A text is a name where there are some; numbers are whole ones, and no truth values: those tell of each class
        whether it is there, and would be taken for classes 0 and 1."""
        if isinstance(told, str) and self.names:
            place = self.names.index(told) if told in self.names else -1
        elif isinstance(told, str):
            place = int(told) if told.isdecimal() else -1
        else:
            is_whole = isinstance(told, int | np.integer) or (
                isinstance(told, float | np.floating) and float(told).is_integer()
            )
            place = int(told) if is_whole and not isinstance(told, bool) else -1
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
        if self.classes < 1:
            raise UsageError(f"SoftLabel({self.source!r}) needs classes=, how many there are.")

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
        check_dtype(self.dtype)
        if self.shape is None:
            return
        if not isinstance(self.shape, tuple | list) or any(not isinstance(n, int) or n < 0 for n in self.shape):
            raise UsageError(f"Array({self.source!r}, shape={self.shape!r}) needs lengths, such as shape=(2, 3).")
        object.__setattr__(self, "shape", tuple(self.shape))

    def column(self, size: Size, whole: bool) -> Column | None:
        return Column(self.shape, self.dtype) if self.shape is not None else None

    def decoded(self, raw: memoryview, ending: str, shown: Shown) -> Any:
        return self.checked(read(raw, self.path, ending), (0, 0))

    def empty(self, shown: Shown) -> Any:
        return np.zeros(self.shape if self.shape is not None else (0,), self.dtype)

    def checked(self, value: Any, size: Size) -> Any:
        if self.shape is not None:
            shape = "x".join(map(str, self.shape))
            return as_array(value, self.shape, self.dtype, f"{shape} numbers ({self.dtype})")
        if isinstance(value, Mapping):  # of an npz
            return {name: as_it_is(each) for name, each in value.items()}
        return as_it_is(value)


def as_it_is(value: Any) -> NDArray[Any]:
    """A new array of the same numbers, as tensors can have them: in this machine's byte order, row by row. Raises
    FieldError for others, such as texts, times and long doubles."""
    try:
        found = np.asarray(value)
    except (TypeError, ValueError):
        raise FieldError("is no array of numbers") from None
    if found.dtype.kind not in "biufc" or found.dtype.itemsize > (16 if found.dtype.kind == "c" else 8):
        raise FieldError(f"is {found.dtype}, expected numbers")
    return np.array(found, found.dtype.newbyteorder("="), order="C")


def each_of(value: Any) -> Any:
    """Of a list or an array; what is none has one."""
    if isinstance(value, np.ndarray):
        return np.atleast_1d(value)
    return value if isinstance(value, list) else [value]


def number(text: str) -> float | int:
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        raise FieldError(f"is {text.strip()[:40]!r}, expected one number ({', '.join(TEXTS)})") from None
