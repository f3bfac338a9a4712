"""Fields that a batch has lists of: texts, what JSON holds, bytes as they are."""

from dataclasses import dataclass
from typing import Any

from tarn.training.pixels.geometry import Size
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


@dataclass(frozen=True)
class Raw(Field):
    """A member's bytes, for a hook to decode: a list of bytes."""

    def decoded(self, raw: memoryview, ending: str, shown: Shown) -> bytes:
        return bytes(raw)

    def empty(self, shown: Shown) -> bytes:
        return b""
