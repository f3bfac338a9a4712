"""What a field is: where it is read, what it becomes, and how a batch holds it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from math import prod
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from tarn.training.pixels.decode import PictureDecoder
from tarn.training.pixels.geometry import Augmentation, Size
from tarn.training.pixels.preprocessing import Preprocessing
from tarn.training.pixels.view import View
from tarn.training.streaming.fields.errors import FieldError
from tarn.training.streaming.fields.path import Path

Members = Mapping[str, memoryview]  # a sample's members by ending


@dataclass(frozen=True, slots=True)
class Column:
    """A field that has the same shape in every sample, of a batch's memory. shape: of one sample's."""

    shape: tuple[int, ...]
    dtype: str

    @property
    def bytes(self) -> int:
        return prod(self.shape) * np.dtype(self.dtype).itemsize


@dataclass(slots=True)
class Shown:
    """What of a sample's picture a batch shows, and how it was drawn: for fields that go by it.

    augmentation: None in evaluation. whole: pictures come whole, each in its own size. name: of the field that is
    being made; kept: by the name of a field of boxes, which of them are shown.
    """

    view: View
    decoder: PictureDecoder
    preprocessing: Preprocessing
    augmentation: Augmentation | None
    uniforms: NDArray[np.float64]
    whole: bool = False
    label: int = -1
    key: str = ""
    name: str = ""
    kept: dict[str, NDArray[np.bool_]] = field(default_factory=dict)


@dataclass(frozen=True)
class Field:
    """source: where it is read (path.py). optional: a sample without it has an empty one, else it is refused.

    A sample's value is a NumPy array, a number, a text or whatever JSON holds; in a batch it stands in a tensor where
    column() says its shape, and in a list else.
    """

    source: str
    optional: bool = field(default=False, kw_only=True)  # what a kind of field asks for comes first

    of_pixels: ClassVar[bool] = False  # whether it has a value for each pixel of the picture
    of_members: ClassVar[bool] = True  # whether it is read from members of the sample

    def __post_init__(self) -> None:
        """Raises UsageError for what cannot be read so."""
        _ = self.path

    @cached_property
    def path(self) -> Path:
        return Path.of(self.source)

    def column(self, size: Size, whole: bool) -> Column | None:
        """size: of the pictures."""
        return None

    def value(self, members: Members, shown: Shown) -> Any:
        """Raises FieldError."""
        for ending in self.path.endings:
            if ending in members:
                return self.decoded(members[ending], ending, shown)
        if self.optional:
            return self.empty(shown)
        there = ", ".join(sorted(members))
        raise FieldError(f"is not there, its sample has {there}; optional=True is for what may be missing")

    def decoded(self, raw: memoryview, ending: str, shown: Shown) -> Any:
        raise NotImplementedError

    def empty(self, shown: Shown) -> Any:
        """In place of one that is missing."""
        raise NotImplementedError

    def checked(self, value: Any, size: Size) -> Any:
        """What a hook made of a value, for a picture of that size. Raises FieldError with what was expected."""
        return value
