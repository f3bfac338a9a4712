"""Rows of a listing, read as a stream: CSV (RFC 4180), TSV and JSONL, in UTF-8, whatever their line ends."""

import csv
import io
import json
from collections.abc import Iterator, Sequence
from typing import Any

from tarn.sharding.archives.archive import Archive
from tarn.sharding.archives.file import ArchiveFile
from tarn.sharding.errors import TarnError, UsageError
from tarn.sharding.sizes import counted
from tarn.sharding.sources import Problems
from tarn.sharding.sources.tree import EXTENSIONS

ENDINGS = (".csv", ".tsv", ".jsonl", ".ndjson")
BUFFER = 2**20  # bytes read at a time
LONGEST = 2**20  # characters of a line or a cell: a quote that is never closed would hold all the rest
SEPARATORS = ",\t;|"

Row = tuple[int, list[Any]]  # number of its line, and the cells asked for


class Rows:
    """columns: names in their order, as the head tells them (of JSONL the first line). Raises TarnError naming the file
    and the line where it cannot be read, UsageError where it begins as no listing does."""

    def __init__(self, url: str) -> None:
        self.url, self.archive = url, Archive(url)
        first = next(self.lines(), "")
        if not first.strip():
            told = "begins with an empty line" if self.archive.size else "is empty"
            raise UsageError(f"{url} {told}: give a listing whose first line names its columns.")
        self.is_json = first.lstrip().startswith(("{", "["))
        self.separator = max(SEPARATORS, key=first.count)
        self.columns = self.keys(first) if self.is_json else self.head()

    @property
    def kind(self) -> str:
        return "JSONL" if self.is_json else "TSV" if self.separator == "\t" else "CSV"

    def lines(self) -> Iterator[str]:
        """With their ends."""
        file = io.BufferedReader(ArchiveFile(self.archive), BUFFER)
        text = io.TextIOWrapper(file, "utf-8-sig", newline="")
        try:
            while line := text.readline(LONGEST):
                yield line
        except UnicodeDecodeError as error:
            raise TarnError(f"{self.url} is not UTF-8 {self.spoilt()} ({error.reason}): save it as UTF-8.") from error

    def spoilt(self) -> str:
        """Where the first byte lies that cannot be read."""
        for number, raw in enumerate(io.BufferedReader(ArchiveFile(self.archive), BUFFER), 1):
            try:
                raw.decode("utf-8")
            except UnicodeDecodeError:
                return f"in line {number}"
        return "at its end"

    def head(self) -> list[str]:
        _, cells = next(self.cells(), (1, []))
        if any(cell.strip().lower().endswith(EXTENSIONS) for cell in cells):
            raise UsageError(f"{self.url} begins with a picture: put a line of names before it, such as path,label.")
        return cells

    def keys(self, line: str) -> list[str]:
        try:
            told = load(line)
        except (ValueError, RecursionError):
            told = None
        if not isinstance(told, dict):
            raise UsageError(f"{self.url} does not begin with a JSON object: give JSONL, an object in each line.")
        return list(told)

    def read(self, names: Sequence[str], problems: Problems) -> Iterator[Row]:
        """The cells of those columns, None where a row has none of it, and of the name "". What is no row is added to
        the problems."""
        if self.is_json:
            for number, told in self.objects(problems):
                yield number, [told.get(name) if name else None for name in names]
            return
        places = [self.columns.index(name) if name else -1 for name in names]
        coming, count = self.cells(), len(self.columns)
        next(coming, None)
        for number, cells in coming:
            if len(cells) == count:
                yield number, [cells[place] if place >= 0 else None for place in places]
            elif any(cell.strip() for cell in cells):
                problems.add(f"rows that have not {count} cells", self.at(number, counted(len(cells), "cell")))

    def cells(self) -> Iterator[tuple[int, list[str]]]:
        before = csv.field_size_limit(LONGEST)
        reader = csv.reader(self.lines(), delimiter=self.separator, strict=True)
        try:
            for cells in reader:
                yield reader.line_num, cells
        except csv.Error as error:
            raise TarnError(f"{self.url} cannot be read near line {reader.line_num} ({error}): mend it.") from error
        finally:
            csv.field_size_limit(before)

    def records(self, problems: Problems) -> Iterator[dict[str, Any]]:
        """Each row by its columns; a line of JSONL by its own ones, whatever the first line has."""
        if self.is_json:
            yield from (told for _, told in self.objects(problems))
            return
        for _, cells in self.read(self.columns, problems):
            yield dict(zip(self.columns, cells, strict=True))

    def objects(self, problems: Problems) -> Iterator[tuple[int, dict[str, Any]]]:
        for number, line in enumerate(self.lines(), 1):
            if not line.strip():
                continue
            try:
                told = load(line)
            except (ValueError, RecursionError):
                told = None
            if isinstance(told, dict):
                yield number, told
            else:
                problems.add("lines that are no JSON object", self.at(number, line.strip()[:20]))

    def at(self, number: int, what: str) -> str:
        return f"{what} in line {number} of {self.url.rpartition('/')[2]}"


def load(line: str) -> Any:
    """Raises ValueError, RecursionError; NaN and its like are no JSON."""
    return json.loads(line, parse_constant=refuse)


def refuse(word: str) -> None:
    raise ValueError(word)


def is_listing(name: str) -> bool:
    return name.lower().endswith(ENDINGS)
