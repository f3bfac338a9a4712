"""Rows of a parquet that are read where they lie, a row group at a time, and pictures in it as places.

A picture cannot be read alone: a row group (of the Hugging Face hub's copies of ImageNet a hundred pictures, about
11 MB) is compressed as a whole. Whoever wants several reads them together (see `rows_of`).
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tarn.sharding.archives.archive import Archive, DamagedMemberError
from tarn.sharding.archives.file import ArchiveFile
from tarn.sharding.errors import TarnError
from tarn.sharding.pillow import MOST_BYTES

AT_A_TIME = 16  # pictures that are unpacked at a time
BUFFER = 2**20  # bytes of a column that are read at a time, however large the row group is
MISSING = "a parquet is read by pyarrow, which is not here: install it by uv pip install pyarrow"


@dataclass(frozen=True, slots=True)
class Column:
    """The pictures of a parquet. leaf: `image.bytes`, or the name of a column of bytes; starts: the first row of each
    row group."""

    archive: Archive
    leaf: str
    starts: tuple[int, ...]

    def rows_of(self, file: Any, group: int, rows: Sequence[int]) -> Iterator[tuple[int, bytes | None]]:
        """Pictures of a row group by their rows in it, in the order of the file, a few in memory at a time. file:
        pyarrow's, see `opened`. Raises DamagedMemberError where its bytes are no parquet's, TarnError."""
        wanted, start = set(rows), 0
        with damage(self.archive.url):
            for batch in file.iter_batches(AT_A_TIME, row_groups=[group], columns=[self.leaf], use_threads=False):
                found = batch.column(0)
                for name in self.leaf.split(".")[1:]:
                    found = found.field(name)
                for place in range(len(batch)):
                    if start + place in wanted:
                        yield start + place, found[place].as_py()
                start += len(batch)
                if start > max(wanted):
                    return


@dataclass(frozen=True, slots=True)
class Row:
    """A place, see sources/place.py. number: of the row in the file, from 0; ending: of the name that the parquet
    tells."""

    column: Column
    number: int
    ending: str

    def __str__(self) -> str:
        return f"{self.column.archive.url}/row {self.number}"

    @property
    def is_exact(self) -> bool:
        return False

    @property
    def block(self) -> tuple[tuple[str, int], int]:
        """What is read together, and where it lies in it."""
        return (self.column.archive.url, self.group), self.row

    @property
    def group(self) -> int:
        return bisect_right(self.column.starts, self.number) - 1

    @property
    def row(self) -> int:
        """In its group."""
        return self.number - self.column.starts[self.group]

    def read(self) -> bytes:
        """Raises DamagedMemberError where it holds no bytes, TarnError."""
        file = opened(self.column.archive)
        return self.checked(next((data for _, data in self.column.rows_of(file, self.group, [self.row])), None))

    def checked(self, data: bytes | None) -> bytes:
        if data is None:
            raise DamagedMemberError(str(self), "the parquet tells no bytes of it")
        if len(data) > MOST_BYTES:
            raise DamagedMemberError(str(self), f"too large ({len(data):,} bytes, {MOST_BYTES:,} at most)")
        return data


def read_together(places: Sequence[Row]) -> dict[int, bytes | DamagedMemberError]:
    """By the place's place in the sequence. Each file is opened once, and each row group read as far as the last row of
    it that is wanted. Raises TarnError."""
    groups: dict[tuple[str, int], dict[int, int]] = {}
    for number, place in enumerate(places):
        groups.setdefault(place.block[0], {})[place.row] = number
    found: dict[int, bytes | DamagedMemberError] = {}
    files: dict[str, Any] = {}
    for url, group in sorted(groups):
        wanted = groups[url, group]
        column = places[next(iter(wanted.values()))].column
        if url not in files:
            files = {url: opened(column.archive)}
        try:
            for row, data in column.rows_of(files[url], group, list(wanted)):
                found[wanted[row]] = checked_or_error(places[wanted[row]], data)
        except DamagedMemberError as error:
            found |= {number: error for number in wanted.values() if number not in found}
    return found


def checked_or_error(place: Row, data: bytes | None) -> bytes | DamagedMemberError:
    try:
        return place.checked(data)
    except DamagedMemberError as error:
        return error


def opened(archive: Archive) -> Any:
    """pyarrow's ParquetFile. Raises TarnError where pyarrow is not installed, or it is no parquet."""
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise TarnError(f"{archive.url}: {MISSING} ({error}).") from error
    source = pyarrow.PythonFile(ArchiveFile(archive), mode="r")
    try:
        return parquet.ParquetFile(source, buffer_size=BUFFER, pre_buffer=False)
    except Exception as error:
        if isinstance(error, TarnError) or not is_of_arrow(error):
            raise
        why = " ".join(str(error).split())[:200]
        raise TarnError(f"{archive.url} is no whole parquet ({why}): copy it again.") from error


@contextmanager
def damage(name: str) -> Iterator[None]:
    """What pyarrow raises becomes a DamagedMemberError of the file."""
    try:
        yield
    except Exception as error:
        if isinstance(error, TarnError) or not is_of_arrow(error):
            raise
        raise DamagedMemberError(name, f"damaged row group ({' '.join(str(error).split())[:200]})") from error


def is_of_arrow(error: Exception) -> bool:
    """Or of a text in a damaged file that is no UTF-8."""
    return isinstance(error, OSError | UnicodeDecodeError) or any(
        each.__name__ == "ArrowException" for each in type(error).__mro__
    )
