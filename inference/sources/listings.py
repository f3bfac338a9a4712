"""Listings of pictures: a path in each line, or CSV, TSV and JSONL with a column of paths and perhaps one of labels."""

import io
import os
import posixpath
import sys
from collections.abc import Iterator

from tarn.inference.pictures import NamedPicture, Unreadable
from tarn.inference.sources.places import picture_at
from tarn.sharding import storage
from tarn.sharding.errors import TarnError, UsageError
from tarn.sharding.foreign.labels import Label, label_in_value
from tarn.sharding.sources import Problems
from tarn.sharding.sources.columns import USUAL
from tarn.sharding.sources.rows import ENDINGS, Rows
from tarn.sharding.sources.table import LABEL, PICTURE

STDIN, PLAIN = "-", (".txt", ".lst")
SHOWN = 8


def is_listing(name: str) -> bool:
    return name.lower().endswith((*ENDINGS, *PLAIN))


def listed(url: str) -> list[NamedPicture]:
    """url: of a listing, - for lines of paths on standard input. Paths are relative to the listing's folder, those of
    standard input to the current one. Raises TarnError for what is no listing, or lists nothing."""
    if url == STDIN:
        found = list(lines("standard input", sys.stdin.buffer.read(), ""))
    else:
        base = os.path.dirname(url)  # noqa: PTH120  of URLs too
        found = list(rows(url, base) if url.lower().endswith(ENDINGS) else lines(url, storage.read_bytes(url), base))
    if not found:
        raise UsageError(f"{'standard input' if url == STDIN else url} lists no picture: give a path in each line.")
    return found


def lines(name: str, data: bytes, base: str) -> Iterator[NamedPicture]:
    """One path a line, or parted by NUL, as `find -print0` writes them; empty lines are passed over."""
    paths = data.split(b"\0") if b"\0" in data else io.BytesIO(data).read().splitlines()
    for raw in paths:
        if told := os.fsdecode(raw.removeprefix(b"\xef\xbb\xbf")).strip("\r\n"):
            yield picture_at(placed(told, base))


def rows(url: str, base: str) -> Iterator[NamedPicture]:
    """Of a table, by the columns that people call so."""
    table = Rows(url)
    called = {name.strip().lower(): name for name in reversed(table.columns)}
    picture, label = (
        next((called[usual] for usual in USUAL[what] if usual in called), "") for what in (PICTURE, LABEL)
    )
    if not picture:
        raise UsageError(
            f"{url} begins with the columns {', '.join(table.columns[:SHOWN])}, none of which is called like the "
            f"picture ({', '.join(USUAL[PICTURE][:3])}, ...): give it a line of names."
        )
    problems = Problems()
    for number, (told, cell) in table.read([picture, label], problems):
        if isinstance(told, str) and told.strip():
            yield picture_at(placed(told.strip(), base), label_of(cell))
        else:
            where = f"line {number} of {url}"
            yield NamedPicture(where, Unreadable("the row names no picture"))
    for kind, names in problems.found.items():
        raise TarnError(f"{url} has {kind} ({len(names):,} in all, such as {names[0]}): mend the listing.")


def label_of(cell: object) -> Label | None:
    """Of several, the first."""
    return label_in_value(cell[0] if isinstance(cell, list) and cell else cell)


def placed(told: str, base: str) -> str:
    """Raises TarnError for what can be no path."""
    if "\0" in told or any("\ud800" <= each <= "\udc7f" or "\udd00" <= each <= "\udfff" for each in told):
        raise TarnError(f"{told!r} is no path.")  # nor are halves of pairs of UTF-16, which JSON can say
    if "://" in told or not base or told.startswith(("/", "~")):
        return told
    return posixpath.join(base, told)
