"""A field whose values stand in a table beside the samples, by key: several labels, soft labels, scores, texts.

CSV and TSV whose first line names the columns, JSON lines, or parquet; one of the columns is `key`. A row is what a
JSON member of the sample would be: an object of its columns.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from tarn.sharding.archives.archive import Archive
from tarn.sharding.archives.parquet import opened
from tarn.sharding.errors import UsageError
from tarn.sharding.foreign.samples import digest
from tarn.sharding.sources import Problems
from tarn.sharding.sources.rows import Rows
from tarn.training.pixels.geometry import Size
from tarn.training.streaming.fields.errors import FieldError
from tarn.training.streaming.fields.field import Column, Field, Members, Shown
from tarn.training.streaming.fields.path import Path
from tarn.training.streaming.fields.texts import Json

KEY, MEMBER = "key", "json"
PARQUET = ".parquet"


@dataclass(frozen=True)
class Row(Field):
    """source: path or URL of the table. of: what its rows become, as of a json member: MultiLabel("json:labels",
    classes=1000) of the column `labels`. A sample that has no row is refused, unless `of` is optional.

    Each process holds all rows in memory, as JSON. Raises UsageError for a table without keys, or with one twice.
    """

    # read with all members, for a long name stands in a header before the picture's own
    of: Field | str | None = None

    def __post_init__(self) -> None:
        if isinstance(self.of, str) and Path.of(self.of).endings == (MEMBER,):
            object.__setattr__(self, "of", Json(self.of))
        if not isinstance(self.of, Field) or MEMBER not in self.of.path.endings:
            raise UsageError(
                f"Row({self.source!r}) needs of=, a field of json such as MultiLabel('json:labels', classes=10)."
            )

    @property
    def field(self) -> Field:
        assert isinstance(self.of, Field)
        return self.of

    @cached_property
    def rows(self) -> dict[int, bytes]:
        """JSON by the key's digest. Raises TarnError for what cannot be read."""
        found: dict[int, bytes] = {}
        for row in rows_of(self.source):
            name = digest(str(row.get(KEY)))
            if name in found:
                raise UsageError(f"{self.source} has several rows of the key {row.get(KEY)}: leave one of each key.")
            found[name] = json.dumps(row, default=str).encode()
        return found

    def column(self, size: Size, whole: bool) -> Column | None:
        return self.field.column(size, whole)

    def value(self, members: Members, shown: Shown) -> Any:
        row = self.rows.get(digest(shown.key))
        if row is None and not self.field.optional:
            raise FieldError("has no row of its key; optional=True, in the field of `of`, is for what may be missing")
        return self.field.value({MEMBER: memoryview(row)} if row is not None else {}, shown)

    def checked(self, value: Any, size: Size) -> Any:
        return self.field.checked(value, size)


def rows_of(url: str) -> Iterator[dict[str, Any]]:
    """Columns by name. Raises UsageError where none is called key, TarnError for what cannot be read."""
    if url.lower().endswith(PARQUET):
        file = opened(Archive(url))
        refuse_without_key(url, file.schema_arrow.names)
        for batch in file.iter_batches():
            yield from batch.to_pylist()
        return
    table, problems = Rows(url), Problems()
    refuse_without_key(url, table.columns)
    yield from table.records(problems)
    problems.raise_if_any(url, "read")


def refuse_without_key(url: str, names: list[str]) -> None:
    if KEY not in names:
        raise UsageError(f"{url} has no column key, but {', '.join(names[:10])}: a table of samples names them by key.")
