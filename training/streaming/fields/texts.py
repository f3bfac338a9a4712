"""Fields that a batch has lists of: texts, what JSON holds, bytes as they are."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tarn.training.pixels.geometry import Size
from tarn.training.streaming.fields.arrays import as_it_is
from tarn.training.streaming.fields.errors import FieldError
from tarn.training.streaming.fields.field import Field, Shown
from tarn.training.streaming.fields.reading import read


@dataclass(frozen=True)
class Text(Field):
    """UTF-8 of a txt, or a text in a json: a list of str."""

    def decoded(self, raw: memoryview, ending: str, shown: Shown) -> str:
        return str(self.checked(read(raw, self.path, ending), (0, 0)))

    def empty(self, shown: Shown) -> str:
        return ""

    def checked(self, value: Any, size: Size) -> str:
        if not isinstance(value, str):
            raise FieldError(f"is a {type(value).__name__}, expected a text")
        return value


@dataclass(frozen=True)
class Json(Field):
    """Whatever a json holds, or what its path leads to: a list of dicts, lists, texts and numbers."""

    def decoded(self, raw: memoryview, ending: str, shown: Shown) -> Any:
        return read(raw, self.path, "json")

    def empty(self, shown: Shown) -> Any:
        return None

    def checked(self, value: Any, size: Size) -> Any:
        try:
            return copied(value)
        except RecursionError:
            raise FieldError("is nested too deep") from None


@dataclass(frozen=True)
class Raw(Field):
    """A member's bytes, for a hook to decode: a list of bytes."""

    def decoded(self, raw: memoryview, ending: str, shown: Shown) -> bytes:
        return bytes(raw)

    def empty(self, shown: Shown) -> bytes:
        return b""

    def checked(self, value: Any, size: Size) -> bytes:
        if not isinstance(value, bytes | bytearray | memoryview):
            raise FieldError(f"is a {type(value).__name__}, expected bytes")
        return bytes(value)


def copied(value: Any) -> Any:
    """What a hook gives may be its own, and change behind it. Raises FieldError for what cannot travel to the training
    process as plain values and arrays."""
    if value is None or isinstance(value, bool | int | float | str | bytes):
        return value
    if isinstance(value, Mapping):
        return {key: copied(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        each_copied = [copied(each) for each in value]
        return each_copied if isinstance(value, list) else tuple(each_copied)
    if hasattr(value, "__array__"):
        return as_it_is(value)
    raise FieldError(f"holds a {type(value).__name__}, expected texts, numbers, lists, objects and arrays of them")
