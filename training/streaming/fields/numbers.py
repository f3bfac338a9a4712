"""Fields of numbers: single ones, and arrays."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tarn.sharding.errors import UsageError
from tarn.training.pixels.geometry import Size
from tarn.training.streaming.fields.arrays import as_array, as_it_is, check_dtype
from tarn.training.streaming.fields.errors import FieldError
from tarn.training.streaming.fields.field import Column, Field, Shown
from tarn.training.streaming.fields.reading import TEXTS, read


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


def number(text: str) -> float | int:
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        raise FieldError(f"is {text.strip()[:40]!r}, expected one number ({', '.join(TEXTS)})") from None
