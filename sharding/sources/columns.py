"""Which column of a table holds what: as it was chosen, else by the names that people give them."""

from collections.abc import Sequence
from dataclasses import dataclass

from tarn.sharding.archives.headers import shown
from tarn.sharding.errors import UsageError
from tarn.sharding.sources.table import ALL, KEY, LABEL, LABELS, PICTURE, SPLIT, Table

SHOWN = 12
SEVERAL = ("labels", "classes", "targets", "categories", "tags")
USUAL = {  # the first that is there
    PICTURE: (
        *("path", "file", "filename", "file_name", "filepath", "file_path", "image_path", "img_path"),
        *("image", "img", "picture", "url", "image_url", "uri"),
    ),
    LABEL: (
        *("label", "class", "target", "category", "wnid", "synset", "label_id", "class_id", "class_index"),
        *("label_name", "class_name", *SEVERAL),
    ),
    SPLIT: ("split", "subset", "partition"),
}


@dataclass(frozen=True, slots=True)
class Columns:
    """Names of columns. several: whether a cell of the label tells several. keep: those of the .json."""

    picture: str
    label: str
    several: bool
    split: str | None
    key: str | None
    keep: tuple[str, ...]

    @property
    def names(self) -> list[str]:
        """Of all that are read: picture, label, split, key, then what is kept; empty for none."""
        return [self.picture, self.label, self.split or "", self.key or "", *self.keep]

    def __str__(self) -> str:
        split = f", splits in {shown(self.split)}" if self.split else ""
        return f"pictures in the column {shown(self.picture)}, labels in {shown(self.label)}{split}"


def find_columns(there: Sequence[str], how: Table, where: str, guess: dict[str, str] | None = None) -> Columns:
    """guess: columns that what lies there shows, before names do. Raises UsageError for what cannot be told."""
    twice = sorted({name for name in there if there.count(name) > 1})
    if twice:
        raise UsageError(f"{where} has two columns of the name {', '.join(map(shown, twice))}: rename one of them.")

    def find(what: str, needed: bool) -> str | None:
        if (name := how.column(what)) is not None:
            return known(name, there, f"--column={what}={name}", where)
        if guess and what in guess:
            return guess[what]
        called = {name.strip().lower(): name for name in reversed(there)}
        found = next((called[usual] for usual in USUAL.get(what, ()) if usual in called), None)
        if found is None and needed:
            raise UsageError(
                f"{where} begins with the columns {listed(there)}, none of which is called like the {what} "
                f"({', '.join(USUAL[what][:3])}, ...): give it a line of names, or say which by --column {what}=NAME."
            )
        return found

    picture, several = find(PICTURE, True), how.column(LABELS)
    label = known(several, there, f"--column=labels={several}", where) if several is not None else find(LABEL, True)
    split, key = find(SPLIT, False), find(KEY, False)
    assert picture is not None
    assert label is not None
    taken = {picture, label, split, key}
    keep = [known(name, there, f"--keep={name}", where) for name in how.keep if name != ALL]
    if ALL in how.keep:
        keep += [name for name in there if name and name not in taken and name not in keep]
    if LABELS in keep:
        raise UsageError(f"{where}: labels in the .json are class numbers, so no column {LABELS} is kept: rename it.")
    is_several = several is not None or (how.column(LABEL) is None and label.strip().lower() in SEVERAL)
    return Columns(picture, label, is_several, split, key, tuple(keep))


def known(name: str, there: Sequence[str], word: str, where: str) -> str:
    found = name if name in there else {it.strip().lower(): it for it in there}.get(name.strip().lower())
    if found is None:
        raise UsageError(f"{word}: {where} has no such column, but {listed(there)}.")
    return found


def listed(names: Sequence[str]) -> str:
    return ", ".join(map(shown, names[:SHOWN])) + (", ..." if len(names) > SHOWN else "")
