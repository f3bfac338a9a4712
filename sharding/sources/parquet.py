"""Parquet with a column of pictures and one of labels, as the Hugging Face hub lays out its datasets. Read now: the
footers, labels and names; how large a picture is its row group tells, as a mean.

https://parquet.apache.org/docs/file-format; the schema's metadata `huggingface` is of the `datasets` library.
"""

import json
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import accumulate
from pathlib import PurePosixPath
from sys import intern
from typing import Any

from tarn.sharding.archives.archive import Archive
from tarn.sharding.archives.parquet import Column, Row, damage, opened
from tarn.sharding.errors import UsageError
from tarn.sharding.format.manifest import ClassInfo
from tarn.sharding.progress import progress_bar
from tarn.sharding.sources import Source
from tarn.sharding.sources.beside import inside
from tarn.sharding.sources.columns import Columns, find_columns
from tarn.sharding.sources.gathered import FILES, codes_of
from tarn.sharding.sources.parts import Classes, Parts
from tarn.sharding.sources.splitting import needs
from tarn.sharding.sources.table import LABEL, PICTURE, Table

AT_A_TIME = 16  # files of a store whose heads are read
ROWS = 4096  # that are read at a time
IN_NAME = re.compile(r"(?<![A-Za-z0-9])n\d{8}(?![0-9])")


@dataclass(frozen=True, slots=True)
class Head:
    """What a file tells without its rows. leaf: of the pictures' bytes; path: of their names, None where it has none;
    classes: names by number, where the schema tells them; sizes: bytes of a picture of each row group, about."""

    archive: Archive
    columns: Columns
    leaf: str
    path: str | None
    classes: tuple[str, ...] | None
    sizes: tuple[int, ...]
    rows: tuple[int, ...]


def head_of(url: str, how: Table) -> Head:
    """Raises UsageError where a column is not found, TarnError."""
    archive = Archive(url)
    file = opened(archive)
    with damage(url):
        schema, features = file.schema_arrow, features_of(file.schema_arrow.metadata or {})
    columns = find_columns(schema.names, how, url, guess_of(schema, features))
    leaves = {file.schema.column(number).path: number for number in range(len(file.schema))}
    leaf = next((it for it in (f"{columns.picture}.bytes", columns.picture) if it in leaves), None)
    if leaf is None or not is_bytes(file.schema.column(leaves[leaf])):
        raise UsageError(f"{url}: its column {columns.picture} holds no bytes of pictures: give --column picture=NAME.")
    groups = [file.metadata.row_group(number) for number in range(file.metadata.num_row_groups)]
    sizes = (it.column(leaves[leaf]).total_uncompressed_size // max(1, it.num_rows) for it in groups)
    path = f"{columns.picture}.path"
    return Head(
        archive,
        columns,
        leaf,
        path if path in leaves else None,
        names_in(features.get(columns.label)),
        tuple(sizes),
        tuple(it.num_rows for it in groups),
    )


def is_bytes(column: Any) -> bool:
    """Whether a column of the file's schema holds bytes, and no text, such as a path."""
    return bool(column.physical_type == "BYTE_ARRAY" and column.logical_type.type == "NONE")


def features_of(metadata: Mapping[bytes, bytes]) -> dict[str, Any]:
    """Of the `datasets` library; empty where it told none."""
    try:
        found = json.loads(metadata.get(b"huggingface", b"{}"))["info"]["features"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def guess_of(schema: Any, features: Mapping[str, Any]) -> dict[str, str]:
    """The column of pictures and of labels, where there is just one that its type shows to be that."""
    kinds = {name: it.get("_type") if isinstance(it, dict) else None for name, it in features.items()}
    structs = [field for field in schema if str(field.type).startswith("struct")]
    there = [name for name in schema.names if kinds.get(name) == "Image"] or [
        field.name for field in structs if field.type.get_field_index("bytes") >= 0
    ]
    there = there or [field.name for field in schema if "binary" in str(field.type) and "<" not in str(field.type)]
    labels = [name for name in schema.names if kinds.get(name) == "ClassLabel"]
    return {what: names[0] for what, names in ((PICTURE, there), (LABEL, labels)) if len(names) == 1}


def names_in(feature: Any) -> tuple[str, ...] | None:
    """Of a ClassLabel."""
    told = feature.get("names") if isinstance(feature, dict) else None
    if not isinstance(told, list) or not told:
        return None
    return tuple(told) if all(isinstance(name, str) and name.isprintable() for name in told) else None


def read_parquet(files: Mapping[str, str | None], wanted: tuple[str, ...], how: Table, where: str) -> Source:
    """files: and the split that the name of each tells. Raises TarnError that counts and names rows that do not fit
    together, by file and row; UsageError where a column is not found."""
    reading = Reading(Parts(list(files), "row", wanted, how))
    workers = 1 if Archive(next(iter(files))).is_local else AT_A_TIME
    with ThreadPoolExecutor(workers) as pool, progress_bar(len(files), "reading labels", "file") as bar:
        for number, (head, rows) in enumerate(pool.map(lambda url: head_and_rows(url, how), files)):
            reading.take(number * FILES, head, rows, files[head.archive.url])
            bar.update()
    return reading.parts.source("parquet", where, reading.renamed)


def head_and_rows(url: str, how: Table) -> tuple[Head, Any]:
    """And pyarrow's table of all but the pictures."""
    head = head_of(url, how)
    with damage(url):
        names = [name for name in (*head.columns.names[1:], head.path) if name]
        return head, opened(head.archive).read(columns=names, use_threads=False)


class Reading:
    """What is known of the files so far. classes: by the first file, None where it tells none."""

    def __init__(self, parts: Parts) -> None:
        self.parts, self.wnids, self.listed = parts, dict[int, set[str]](), parts.labels.told is not None

    def take(self, first: int, head: Head, table: Any, split: str | None) -> None:
        self.compare(first, head)
        columns, rows = head.columns, self.rows(head, table)
        picture = Column(head.archive, head.leaf, tuple(accumulate(head.rows[:-1], initial=0)))
        for number, (group, (path, cell, its, key, *kept)) in enumerate(rows):
            of = self.parts.of_row(first + number, its, columns.split is not None, split)
            if of is None:
                continue
            codes, several = codes_of(self.parts.labels, cell, columns.several)
            of[1].codes.update(codes)
            self.note(codes[0], path)
            if not needs(of[0], self.parts.wanted):
                continue
            name = path or f"{PurePosixPath(head.archive.url).stem}-{number:07d}"
            place = Row(picture, number, intern(os.path.splitext(name)[1]))  # noqa: PTH122  of a million
            try:
                fields = inside(dict(zip(columns.keep, kept, strict=True))) if kept else ""
            except (ValueError, TypeError):
                of[1].problems.add("rows whose fields no JSON can hold", self.parts.at(first + number, name))
                continue
            told = (str(key).strip() if isinstance(key, str | int) else "") if columns.key is not None else None
            of[1].gathered.add(first + number, name, place, head.sizes[group], codes, several, told, fields)

    def compare(self, first: int, head: Head) -> None:
        """Numbers must mean the same in all files."""
        told = infos(head.classes) if head.classes is not None else None
        if first == 0 and not self.listed:
            self.parts.labels.told = told
        elif not self.listed and told != self.parts.labels.told:
            self.parts.problems.add("files that number other classes than the first", head.archive.url)

    def rows(self, head: Head, table: Any) -> Iterator[tuple[int, list[Any]]]:
        """Row group, and the cells of path, label, split, key and what is kept."""
        names = head.columns.names[1:]
        groups = (group for group, count in enumerate(head.rows) for _ in range(count))
        for batch in table.to_batches(ROWS):
            none = [None] * len(batch)
            with damage(head.archive.url):
                paths = batch.column(head.columns.picture).field("path").to_pylist() if head.path else none
                cells = [batch.column(name).to_pylist() if name else none for name in names]
            for path, *others in zip(paths, *cells, strict=True):
                yield next(groups), [path, *others]

    def note(self, code: int, name: str | None) -> None:
        """The wnid that a name holds, as those of the hub's ImageNet do: its classes are told by names alone. Of all
        splits, so that classes are called the same whichever of them is asked for."""
        if self.listed or self.parts.labels.told is None:
            return
        if (match := IN_NAME.search(name or "")) is not None:
            self.wnids.setdefault(code, set()).add(match[0])

    def renamed(self, classes: Classes) -> Classes:
        """By the wnids in the names of pictures, where all of a class that tell one tell the same, and no other
        class does."""
        told = {self.parts.labels.texts[code]: its for code, its in self.wnids.items() if code >= 0}
        found = [told.get(str(number), set()) for number in range(len(classes))]
        wnids = [wnid for its in found if len(its) == 1 for wnid in its]
        if self.listed or len(set(wnids)) != len(classes):
            return classes
        return tuple(ClassInfo(wnid, info.name) for wnid, info in zip(wnids, classes, strict=True))


def infos(names: Sequence[str]) -> tuple[ClassInfo, ...]:
    """A name that comes again has its number behind it, for classes are told apart by it."""
    times = Counter(names)
    return tuple(
        ClassInfo(name if times[name] == 1 else f"{name} ({number})", name) for number, name in enumerate(names)
    )
