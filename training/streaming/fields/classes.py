"""Fields of classes: a sample's one, several, a number for each."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from tarn.sharding.errors import UsageError
from tarn.training.pixels.geometry import Size
from tarn.training.streaming.fields.arrays import as_array
from tarn.training.streaming.fields.errors import FieldError
from tarn.training.streaming.fields.field import Column, Field, Shown
from tarn.training.streaming.fields.reading import read


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
class MultiLabel(Field):
    """Classes that a sample has, as a list of numbers or names (json), or set apart by blanks, commas or lines (cls,
    txt): B x classes float32, 1 for those. classes: how many, or their names in order."""

    classes: int | tuple[str, ...] = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        told: object = self.classes
        if not isinstance(told, int | list | tuple):
            raise UsageError(f"MultiLabel({self.source!r}): classes={told!r} must be a number, or a list of names.")
        if not isinstance(told, int):
            object.__setattr__(self, "classes", tuple(told))
        if self.count < 1 or len(set(self.names)) < len(self.names):
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


def each_of(value: Any) -> Any:
    """Of a list or an array; what is none has one."""
    if isinstance(value, np.ndarray):
        return np.atleast_1d(value)
    return value if isinstance(value, list) else [value]
