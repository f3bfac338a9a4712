"""How a listing or a parquet is read, where somebody has to say it: which column holds what, and what belongs to it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tarn.sharding.errors import UsageError

TABLES = ("parquet", "listing")
PICTURE, LABEL, LABELS, SPLIT, KEY = WHATS = ("picture", "label", "labels", "split", "key")
ALL = "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """columns: pairs of what it holds (picture, label, labels, split, key) and the column's name. keep: columns that
    become the sample's .json, `all` for those that hold nothing of that. base: folder or URL that paths are relative to
    and lie below, the listing's own where none is given. class_list: the file that numbers the classes. skip: pictures
    that are not there are passed over."""

    columns: tuple[tuple[str, str], ...] = ()
    keep: tuple[str, ...] = ()
    base: str | None = None
    class_list: str | None = None
    skip: bool = False

    @property
    def is_told(self) -> bool:
        return self != Table(skip=self.skip)

    def column(self, what: str) -> str | None:
        return dict(self.columns).get(what)

    def packed(self, gone: int) -> dict[str, Any]:
        """What Split.packed tells of it, nothing where nothing was chosen: what lies elsewhere (the base, the list) is
        given again by who has it. gone: pictures that were not there."""
        told: dict[str, Any] = {"columns": dict(self.columns), "keep": list(self.keep), "gone": gone}
        return {"table": found} if (found := {name: it for name, it in told.items() if it}) else {}

    def of(self, packed: Mapping[str, Any]) -> "Table":
        """As a split was packed, with what lies elsewhere."""
        told = packed.get("table", {})
        columns, keep = tuple(told.get("columns", {}).items()), tuple(told.get("keep", ()))
        return replace(self, columns=columns, keep=keep, skip="gone" in told)


def kind_of_split(packed: Mapping[str, Any]) -> str:
    """--source of a table; of others it is seen again."""
    return str(packed.get("source")) if packed.get("source") in TABLES else "auto"


def table_of(columns: Sequence[str], keep: str | None, base: str | None, class_list: str | None) -> Table:
    """As the words of a command say it. Raises UsageError."""
    chosen: dict[str, str] = {}
    for word in columns:
        what, equals, name = word.partition("=")
        if what not in WHATS or not equals or not name or what in chosen:
            raise UsageError(f"--column={word} is not understood: write WHAT=NAME once for each of {', '.join(WHATS)}.")
        chosen[what] = name
    if LABEL in chosen and LABELS in chosen:
        raise UsageError("--column label= and labels= are both given: a picture has one label, or several.")
    kept = tuple(dict.fromkeys(name for each in (keep or "").split(",") if (name := each.strip())))
    return Table(columns=tuple(sorted(chosen.items())), keep=kept, base=base, class_list=class_list)
