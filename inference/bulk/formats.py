"""Files of results: a part of rows as bytes, and parts joined to the file that somebody asked for."""

import csv
import io
import json
import shutil
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from tarn.inference.bulk.features import Embedder
from tarn.inference.bulk.rows import Rows, text_of
from tarn.sharding.errors import UsageError
from tarn.sharding.format.manifest import ClassInfo

LISTS = ("indices", "wnids", "names", "probabilities")
GROUPED = 16  # parts of a row group


class Format(ABC):
    """classes: of the model; top: K; embedder: of the features, where they are written."""

    def __init__(self, classes: Sequence[ClassInfo], top: int, embedder: Embedder | None = None) -> None:
        self.classes, self.top, self.embedder = classes, top, embedder

    @abstractmethod
    def part(self, rows: Rows) -> bytes:
        """A whole file."""

    @staticmethod
    def join(parts: Sequence[Path], out: BinaryIO) -> None:
        """Of whole files one."""
        for path in parts:
            with path.open("rb") as file:
                shutil.copyfileobj(file, out, 2**20)

    def lists(self, rows: Rows, row: int) -> tuple[list[int], list[str], list[str], list[float]]:
        """Those of LISTS, of a picture without an error."""
        indices = rows.classes[row].tolist()
        infos = [self.classes[index] for index in indices]
        probabilities = [round(float(each), 6) for each in rows.probabilities[row]]
        return indices, [info.wnid for info in infos], [info.name for info in infos], probabilities


class Csv(Format):
    """index_1, wnid_1, name_1, probability_1, index_2, ... (RFC 4180, lines end in LF)."""

    def head(self) -> bytes:
        places = range(1, self.top + 1)
        columns = [f"{what}_{place}" for place in places for what in ("index", "wnid", "name", "probability")]
        return lines([["picture", "label", *columns, "error"]])

    def part(self, rows: Rows) -> bytes:
        return self.head() + lines(self.cells(rows, row) for row in range(len(rows)))

    @staticmethod
    def join(parts: Sequence[Path], out: BinaryIO) -> None:
        for number, path in enumerate(parts):
            with path.open("rb") as file:
                head = file.readline()
                out.write(head if number == 0 else b"")
                shutil.copyfileobj(file, out, 2**20)

    def cells(self, rows: Rows, row: int) -> list[Any]:
        label, error = rows.labels[row], rows.errors[row]
        front = [text_of(rows.pictures[row]), "" if label is None else label]
        if error is not None:
            return [*front, *[""] * 4 * self.top, text_of(error)]
        guesses = zip(*self.lists(rows, row), strict=True)
        return [*front, *(cell for guess in guesses for cell in (*guess[:3], f"{guess[3]:.6f}")), ""]


class Jsonl(Format):
    """An object in each line, whose lists are null where there is an error."""

    def part(self, rows: Rows) -> bytes:
        return b"".join(self.line(rows, row) for row in range(len(rows)))

    def line(self, rows: Rows, row: int) -> bytes:
        error = rows.errors[row]
        told: dict[str, Any] = {"picture": text_of(rows.pictures[row]), "label": rows.labels[row]}
        told |= zip(LISTS, self.lists(rows, row) if error is None else [None] * len(LISTS), strict=True)
        told["error"] = text_of(error) if error is not None else None
        if rows.features is not None:
            told["features"] = rows.features[row].tolist() if error is None else None
        return json.dumps(told, ensure_ascii=False).encode() + b"\n"


class Parquet(Format):
    """The same columns; features are a list of fixed size."""

    @property
    def schema(self) -> Any:
        arrow = pyarrow()
        types = (arrow.int32(), arrow.string(), arrow.string(), arrow.float32())
        fields = [("picture", arrow.string()), ("label", arrow.int32())]
        fields += [(name, arrow.list_(each)) for name, each in zip(LISTS, types, strict=True)]
        fields.append(("error", arrow.string()))
        if self.embedder is not None:
            kind = arrow.from_numpy_dtype(np.dtype(self.embedder.kind))
            fields.append(("features", arrow.list_(kind, self.embedder.width)))
        return arrow.schema(fields)

    def part(self, rows: Rows) -> bytes:
        out = io.BytesIO()
        pyarrow().parquet.write_table(self.table(rows), out)
        return out.getvalue()

    def table(self, rows: Rows) -> Any:
        arrow, schema = pyarrow(), self.schema
        found = [self.lists(rows, row) if error is None else None for row, error in enumerate(rows.errors)]
        columns: dict[str, Any] = {"picture": list(map(text_of, rows.pictures)), "label": list(rows.labels)}
        for at, name in enumerate(LISTS):
            columns[name] = [each[at] if each is not None else None for each in found]
        columns["error"] = [text_of(error) if error is not None else None for error in rows.errors]
        arrays = [arrow.array(columns[field.name], field.type) for field in schema if field.name in columns]
        if rows.features is not None:
            broken = arrow.array([error is not None for error in rows.errors])
            flat = arrow.array(rows.features.reshape(-1))
            arrays.append(arrow.FixedSizeListArray.from_arrays(flat, rows.features.shape[1], mask=broken))
        return arrow.table(arrays, schema=schema)

    @staticmethod
    def join(parts: Sequence[Path], out: BinaryIO) -> None:
        arrow = pyarrow()
        with arrow.parquet.ParquetWriter(out, arrow.parquet.read_schema(parts[0])) as writer:
            for first in range(0, len(parts), GROUPED):
                some = parts[first : first + GROUPED]
                writer.write_table(arrow.concat_tables([arrow.parquet.read_table(path) for path in some]))


FORMATS: dict[str, type[Format]] = {".parquet": Parquet, ".csv": Csv, ".jsonl": Jsonl}


def format_of(out: Path, with_features: bool) -> type[Format]:
    """By the ending. Raises UsageError for an unknown one, and where it holds no features."""
    found = FORMATS.get(out.suffix.lower())
    if found is None:
        raise UsageError(f"--out={out} does not say what to write: let its name end in {', '.join(FORMATS)}.")
    if with_features and found is Csv:
        raise UsageError(f"--features do not go into {out}: write .parquet or .jsonl.")
    if found is Parquet:
        pyarrow()
    return found


def pyarrow() -> Any:
    """Raises UsageError where it is not installed."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise UsageError(
            f"a .parquet needs pyarrow ({error}): install it by uv pip install pyarrow, or write .csv or .jsonl."
        ) from error
    return pyarrow


def lines(rows: Iterable[Sequence[Any]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()
