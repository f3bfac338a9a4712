"""What a sample becomes in a batch, as a plan holds it. The kinds of fields are imported where one is chosen."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tarn.training.pixels.geometry import Size

if TYPE_CHECKING:
    from tarn.training.streaming.fields.field import Column, Field


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """fields: by name, in the order of a batch; None: the class's number alone, which takes no look at other members.
    hook: import path of the picture's hook. whole: pictures come whole, each in its own size. width: px, of pictures
    that are no squares."""

    fields: "tuple[tuple[str, Field], ...] | None" = None
    hook: str | None = None
    whole: bool = False
    width: int | None = None

    @property
    def reads_members(self) -> bool:
        """Whether more of a sample is needed than its picture."""
        return any(field.of_members for _, field in self.fields or ())

    def of_pixels(self) -> "dict[str, Column]":
        """Fields that have a value for each pixel, as columns of pictures without one."""
        told = {name: field.column((0, 0), False) for name, field in self.fields or () if field.of_pixels}
        return {name: column for name, column in told.items() if column is not None}

    def columns(self, size: Size) -> "dict[str, Column]":
        """Of a batch's memory, by field, for pictures of that size."""
        told = {name: field.column(size, self.whole) for name, field in self.fields or ()}
        return {name: column for name, column in told.items() if column is not None}
