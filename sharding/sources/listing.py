"""A listing: rows of paths or URLs with labels, as CSV or JSONL. Nothing but the listing is read, and sizes."""

import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from tarn.sharding.pillow import MOST_BYTES
from tarn.sharding.sources import Source
from tarn.sharding.sources.address import Address, path_of, sizes_of
from tarn.sharding.sources.beside import inside
from tarn.sharding.sources.columns import Columns, find_columns
from tarn.sharding.sources.gathered import FILES, codes_of
from tarn.sharding.sources.parts import Part, Parts
from tarn.sharding.sources.place import File
from tarn.sharding.sources.rows import Row, Rows
from tarn.sharding.sources.splitting import needs
from tarn.sharding.sources.table import Table
from tarn.sharding.sources.whereabouts import StrayError, Whereabouts, refuse_no_folder

IN_HAND = 4096  # rows whose sizes are asked for at a time
GONE = "pictures that are not there"


@dataclass(frozen=True, slots=True)
class Entry:
    """A row that names a picture. number: of its line, and which listing it is of, times FILES."""

    number: int
    path: str
    is_far: bool
    codes: Sequence[int]
    several: bool
    key: str | None
    fields: str


def read_listing(files: Mapping[str, str | None], wanted: tuple[str, ...], how: Table, where: str) -> Source:
    """files: listings, and the split that the name of each tells. Raises TarnError that counts and names rows that do
    not fit together, by file and line; UsageError where a column is not found."""
    reading = Reading(Parts(list(files), "line", wanted, how))
    for number, (url, split) in enumerate(files.items()):
        reading.take(number * FILES, Rows(url), split)
    return reading.parts.source("listing", where, lambda classes: classes)


class Reading:
    """What is known of the listings so far."""

    def __init__(self, parts: Parts) -> None:
        self.parts, self.how = parts, parts.how

    def take(self, first: int, rows: Rows, split: str | None) -> None:
        columns = find_columns(rows.columns, self.how, rows.url)
        if self.how.base is not None:
            refuse_no_folder(self.how.base)
        places = Whereabouts(self.how.base or (os.path.dirname(rows.url) or "."))  # noqa: PTH120  of URLs too
        found = rows.read(columns.names, self.parts.problems)
        while some := list(islice(found, IN_HAND)):
            entries: dict[str, list[Entry]] = {}
            for row in some:
                of = self.parts.of_row(first + row[0], row[1][2], columns.split is not None, split)
                if of is not None and (entry := self.entry(*of, first, row, columns, places)) is not None:
                    entries.setdefault(of[0], []).append(entry)
            for name, these in entries.items():
                self.keep(self.parts.found[name], these)

    def entry(
        self, split: str, part: Part, first: int, row: Row, columns: Columns, places: Whereabouts
    ) -> Entry | None:
        """None for what is not of the splits that are wanted, comes again, or is told as a problem."""
        number, (told, cell, _, key, *kept) = first + row[0], row[1]
        codes, several = codes_of(self.parts.labels, cell, columns.several)
        part.codes.update(codes)
        if not needs(split, self.parts.wanted):
            return None
        try:
            path, is_far = places.find(told if isinstance(told, str) else "")
            fields = inside(dict(zip(columns.keep, kept, strict=True))) if kept else ""
        except StrayError as error:
            part.problems.add(str(error), self.parts.at(number, str(told or "")))
            return None
        except ValueError:
            part.problems.add("rows whose fields no JSON can hold", self.parts.at(number, str(told)))
            return None
        labels = tuple(codes) if len(codes) > 1 else codes[0]
        if path in part.seen:
            if part.seen[path] == labels:
                part.passed.add("rows that come again", self.parts.at(number, str(told)))
            else:
                part.problems.add("pictures that come again with another label", self.parts.at(number, str(told)))
            return None
        part.seen[path] = labels
        name = str(key).strip() if isinstance(key, str | int) else ""
        return Entry(number, path, is_far, codes, several, name if columns.key is not None else None, fields)

    def keep(self, part: Part, entries: Sequence[Entry]) -> None:
        """Those that are there."""
        asked = sizes_of([entry.path for entry in entries if entry.is_far])
        for entry in entries:
            size = next(asked) if entry.is_far else size_of(entry.path)
            if isinstance(size, str):
                self.miss(part, entry, size)
                continue
            name = path_of(entry.path) if entry.is_far else entry.path
            place = Address(entry.path, size) if entry.is_far else File.at(entry.path)
            part.gathered.add(entry.number, name, place, size, entry.codes, entry.several, entry.key, entry.fields)

    def miss(self, part: Part, entry: Entry, why: str) -> None:
        told = self.parts.at(entry.number, f"{entry.path} ({why})")
        if self.how.skip:
            part.gone += 1
            part.passed.add(GONE, told)
        else:
            part.problems.add(GONE, told)
            begin = "" if entry.is_far else f", say by --base FOLDER where its paths begin (now {self.base_of(entry)})"
            part.problems.advise(f"mend the listing{begin}, or leave pictures that are not there out by --bad skip")

    def base_of(self, entry: Entry) -> str:
        return self.how.base or os.path.dirname(self.parts.files[entry.number // FILES]) or "."  # noqa: PTH120


def size_of(path: str) -> int | str:
    """In bytes, or why there are none."""
    try:
        told = os.stat(path)  # noqa: PTH116  of a million, Path objects take seconds
    except OSError as error:
        return error.strerror or str(error)
    except ValueError:
        return "no name of a file"
    if not stat.S_ISREG(told.st_mode):
        return "it is no file"
    return told.st_size if told.st_size <= MOST_BYTES else f"{told.st_size:,} bytes, more than a picture may have"
