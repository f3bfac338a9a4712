import io
import json
import os
from pathlib import Path

import numpy as np
import pyarrow.parquet as parquet
import pytest

from tarn.inference.bulk.formats import FORMATS, Csv, Format, Jsonl, Parquet
from tarn.inference.bulk.rows import LabelNumbers, Rows, joined
from tarn.sharding.foreign.labels import ClassName
from tarn.sharding.format.manifest import ClassInfo

CLASSES = (ClassInfo("n1", 'a "quoted", class'), ClassInfo("n2", "zwei\nZeilen"), ClassInfo("n3", "drei"))


def rows(*names: str, error: str | None = None) -> Rows:
    count = len(names)
    classes = np.tile(np.array([1, 0]), (count, 1))
    probabilities = np.tile(np.array([0.75, 0.2], np.float32), (count, 1))
    return Rows(names, [2] * count, classes, probabilities, [error] * count)


def test_a_name_that_is_no_utf8_is_kept_legible() -> None:
    name = os.fsdecode(b"caf\xe9.jpg")
    for kind in (Csv, Jsonl):
        assert b"caf\\xe9.jpg" in kind(CLASSES, 2).part(rows(name)).replace(b"\\\\", b"\\")
    table = parquet.read_table(io.BytesIO(Parquet(CLASSES, 2).part(rows(name))))
    assert table["picture"].to_pylist() == ["caf\\xe9.jpg"]


@pytest.mark.parametrize("kind", FORMATS.values())
def test_joined_parts_are_the_file_of_all_rows(kind: type[Format], tmp_path: Path) -> None:
    form, parts = kind(CLASSES, 2), [rows("a", "b"), rows("c", error='bad,\n"bytes"'), rows("d\n")]
    paths = [tmp_path / str(number) for number in range(3)]
    for path, part in zip(paths, parts, strict=True):
        path.write_bytes(form.part(part))
    out = io.BytesIO()
    kind.join(paths, out)
    if kind is Parquet:
        out.seek(0)
        assert parquet.read_table(out).equals(parquet.read_table(io.BytesIO(form.part(joined(parts)))))
    else:
        assert out.getvalue() == form.part(joined(parts))


def test_lines_of_json_are_one_a_picture() -> None:
    lines = Jsonl(CLASSES, 2).part(joined([rows("a\n"), rows("b", error="x\ny")])).decode().splitlines()
    assert json.loads(lines[0])["names"] == ["zwei\nZeilen", 'a "quoted", class']
    assert [json.loads(line)["error"] for line in lines] == [None, "x\ny"]


def test_labels_are_numbers_of_the_models_classes() -> None:
    numbers = LabelNumbers(CLASSES)
    told = [None, 2, 3, -1, "n2", "drei", ClassName("drei"), "", "some folder"]
    assert [numbers.of(label) for label in told] == [None, 2, None, None, 1, 2, 2, None, None]
