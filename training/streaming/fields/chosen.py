"""Fields as people choose them: by a kind, or by a text, whose ending says the kind."""

from collections.abc import Mapping

from tarn.sharding.errors import UsageError
from tarn.sharding.foreign.reading import PICTURES
from tarn.training.streaming.fields.classes import Label
from tarn.training.streaming.fields.field import Field
from tarn.training.streaming.fields.numbers import Array, Number
from tarn.training.streaming.fields.path import PICKLED, Path
from tarn.training.streaming.fields.places import Boxes, BoxLabels, Picture
from tarn.training.streaming.fields.row import Row
from tarn.training.streaming.fields.texts import Json, Text

LABEL = "label"  # in place of an ending: the class's number
# Names of a batch's own.
TAKEN = ("images", "sizes", "step", "last", "keys", "fields", "values", "changed", "to", "pin_memory")


def chosen_fields(told: Mapping[str, str | Field]) -> tuple[tuple[str, Field], ...]:
    """In the order given. Raises UsageError naming the field."""
    found = []
    for name, what in told.items():
        if not isinstance(name, str) or not name.isidentifier() or name in TAKEN or name.startswith("_"):
            raise UsageError(f"fields[{name!r}]: a field's name is a word of its own, none of {', '.join(TAKEN)}.")
        found.append((name, field_of(name, what)))
    boxes = set[str]()
    for name, told_field in found:
        field = told_field.of if isinstance(told_field, Row) else told_field
        if isinstance(field, BoxLabels) and field.boxes not in boxes:
            raise UsageError(
                f"fields[{name!r}] has boxes={field.boxes!r}, and no field of Boxes before it has that name."
            )
        boxes |= {name} if isinstance(field, Boxes) else set()
    return tuple(found)


def field_of(name: str, what: object) -> Field:
    if isinstance(what, Field):
        return what
    if not isinstance(what, str):
        raise UsageError(
            f"fields[{name!r}]={what!r} must be a text such as txt or json:boxes, or a field such as Mask('png')."
        )
    if what == LABEL:
        return Label()
    kind = Path.of(what).kind
    if kind in PICTURES:
        return Picture(what)
    if kind in ("txt", "text", "caption"):
        return Text(what)
    if kind == "cls":
        return Number(what, dtype="int64")
    if kind == "json":
        return Json(what)
    if kind in ("npy", "npz"):
        return Array(what)
    why = (
        "holds pickled objects, which run code when they are loaded" if kind in PICKLED else "has no decoder of its own"
    )
    raise UsageError(f"fields[{name!r}]={what!r} {why}: take Raw({what!r}), and decode its bytes in a hook.")
