"""Labels of samples that stand in a table beside a dataset, by key: corrected ones, or another labelling of all.

CSV and TSV whose first line names the columns, JSON lines, or parquet, with the columns `key` and `label`. A label is a
number of the stream's classes, a wnid or a name of them.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tarn.sharding import storage
from tarn.sharding.archives.archive import Archive
from tarn.sharding.archives.parquet import opened
from tarn.sharding.errors import UsageError
from tarn.sharding.foreign.samples import digest
from tarn.sharding.format.manifest import ClassInfo
from tarn.sharding.sources import Problems
from tarn.sharding.sources.rows import Rows
from tarn.training.streaming.parts.classes import numbers_by_word, refuse_two_meanings
from tarn.training.streaming.relabelling import OWN

KEY, LABEL = "key", "label"
PARQUET = ".parquet"
ADVICE = "give the labels as texts, in JSON lines or parquet, which are names first"


@dataclass(frozen=True, slots=True)
class LabelTable:
    """keys: digests (keys.py) in rising order; labels: of each; sha256: of the file, hex."""

    url: str
    keys: NDArray[np.uint64]
    labels: NDArray[np.int32]
    sha256: str

    def join(self, keys: NDArray[np.uint64]) -> NDArray[np.int32]:
        """The label of each key, OWN where the table has no row of it."""
        if not len(self.keys):
            return np.full(len(keys), OWN, np.int32)
        at = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        return np.where(self.keys[at] == keys, self.labels[at], np.int32(OWN)).astype(np.int32)


def read_table(url: str, classes: tuple[ClassInfo, ...]) -> LabelTable:
    """classes: of the stream. Raises UsageError for a table that has no such columns, a label that is none, or a key
    that comes twice; TarnError for what cannot be read."""
    if not classes:
        raise UsageError(
            f"{url}: the stream has no classes that labels could mean: index its first part with --classes FILE beside "
            "--label none, or read the table as a field, Row(table, of=...)."
        )
    numbers, keys, labels = numbers_by_word(classes), list[int](), list[int]()
    for row, key, label in rows_of(url):
        keys.append(digest(str(key)))
        labels.append(number_of(label, numbers, classes, f"{url}: row {row} ({key})"))
    told = np.array(keys, np.uint64)
    order = np.argsort(told, kind="stable")
    told = told[order]
    twice = np.flatnonzero(told[1:] == told[:-1])
    if len(twice):
        first = next(key for _, key, _ in rows_of(url) if digest(str(key)) == int(told[twice[0]]))
        raise UsageError(f"{url} has several rows of the key {first}: leave one of each key.")
    sha256 = hashlib.sha256(storage.read_bytes(url)).hexdigest()
    return LabelTable(url, told, np.array(labels, np.int32)[order], sha256)


def rows_of(url: str) -> Iterator[tuple[int, Any, Any]]:
    """The number of each row, its key and its label, a text or a number. A CSV has texts alone: digits are a number."""
    if url.lower().endswith(PARQUET):
        file = opened(Archive(url))
        refuse_columns(url, file.schema_arrow.names)
        number = 0
        for batch in file.iter_batches(columns=[KEY, LABEL]):
            for key, label in zip(batch[KEY].to_pylist(), batch[LABEL].to_pylist(), strict=True):
                number += 1
                yield number, key, label
        return
    table, problems = Rows(url), Problems()
    refuse_columns(url, table.columns)
    for number, (key, label) in table.read([KEY, LABEL], problems):
        is_number = not table.is_json and label.strip().isdecimal()
        yield number, key, int(label) if is_number else label
    problems.raise_if_any(url, "read")


def refuse_columns(url: str, names: list[str]) -> None:
    if missing := [name for name in (KEY, LABEL) if name not in names]:
        raise UsageError(
            f"{url} has no column {' nor '.join(missing)}, but {', '.join(names[:10])}: a table of labels has the "
            "columns key and label."
        )


def number_of(label: Any, words: Mapping[str, int], classes: tuple[ClassInfo, ...], where: str) -> int:
    """words: numbers_by_word(). Raises UsageError for what is no label of the classes, or may be two."""
    told = label.strip() if isinstance(label, str) else label
    if isinstance(told, str) and told in words:
        return words[told]
    if isinstance(told, str) and told.isdecimal():
        told = int(told)
    elif isinstance(told, int):
        refuse_two_meanings(told, words, where, ADVICE)
    if isinstance(told, bool) or not isinstance(told, int) or not 0 <= told < len(classes):
        raise UsageError(
            f"{where} has the label {label!r}: give one number from 0 to {len(classes) - 1}, a wnid or the name of a "
            "class."
        )
    return told
