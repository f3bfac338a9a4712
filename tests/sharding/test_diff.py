"""diff tells each kind of difference between two packed datasets, and nothing of equal ones."""

import shutil
from pathlib import Path

import pytest

from support.datasets import picture_tree
from support.foreign_tars import dataset
from support.web import served
from tarn.sharding.__main__ import main
from tarn.sharding.foreign.index import IndexConfig, index
from tarn.sharding.packing.pack import PackConfig, pack
from tarn.sharding.packing.preparation import Preparation

SMALL = PackConfig(shard_size=10_000, preparation=Preparation(tile=0))


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return picture_tree(tmp_path / "source")


def differing(first: object, second: object, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """The lines told, without the last; exit code checked."""
    capsys.readouterr()
    code = main(["diff", str(first), str(second)])
    *lines, last = capsys.readouterr().out.splitlines()
    assert code == bool(lines)
    assert last == f"{first} and {second}: {'different' if lines else 'equal'}"
    return lines


def packed(source: Path, out: Path, **changes: object) -> Path:
    settings = {"shard_size": 10_000, "preparation": Preparation(tile=0), **changes}
    pack(source, str(out), PackConfig(**settings))  # type: ignore[arg-type]
    return out


def test_equal_datasets_are_equal_on_the_web_too(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a, b = packed(source, tmp_path / "a"), packed(source, tmp_path / "b")
    assert differing(a, b, capsys) == []
    with served(b) as web:
        assert differing(a, web.url, capsys) == []


def test_keys_on_the_web_are_read_by_ranges_alone(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a = packed(source, tmp_path / "a")
    (source / "train" / "class0" / "train0.jpg").unlink()
    b = packed(source, tmp_path / "b")
    with served(b) as web:
        lines = differing(a, web.url, capsys)
    assert lines[:2] == ["train: 24 samples and 23", "train: 1 only in the first (class0/train0)"]


def test_another_order_is_told(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a, b = packed(source, tmp_path / "a"), packed(source, tmp_path / "b", seed=1)
    lines = differing(a, b, capsys)
    assert [line.partition(":")[0] for line in lines] == ["train", "val"]
    assert all("another order, from number" in line for line in lines)


def test_the_same_samples_in_other_tars_are_told_as_that(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a, b = packed(source, tmp_path / "a"), packed(source, tmp_path / "b", shard_size=20_000)
    assert differing(a, b, capsys)[0] == "train: the same samples in the same order, in other tars"


def test_labels_pictures_and_samples_that_differ_are_named(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a = packed(source, tmp_path / "a")
    train = source / "train"
    shutil.copy(train / "class0" / "train1.jpg", train / "class0" / "train2.jpg")
    (train / "class1" / "train3.jpg").unlink()
    shutil.copy(train / "class2" / "train1.jpg", train / "class2" / "more.jpg")
    lines = differing(a, packed(source, tmp_path / "b"), capsys)
    assert "train: 1 only in the first (class1/train3)" in lines
    assert "train: 1 only in the second (class2/more)" in lines
    assert any(line.startswith("train: 1 of other bytes, ") and line.endswith("(class0/train2)") for line in lines)


def test_tiled_pictures_are_of_other_bytes_and_nothing_else(
    pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a = packed(pictures, tmp_path / "a", split="val", shard_size=10**6)
    b = packed(pictures, tmp_path / "b", split="val", shard_size=10**6, preparation=Preparation())
    (line,) = differing(a, b, capsys)
    assert line.startswith("val: 38 of other bytes")  # two are no JPEGs that can be tiled


def test_another_label_is_told_by_the_names_of_classes(
    pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(pictures, copy)
    a = packed(copy, tmp_path / "a", split="val")
    table = copy / "LOC_val_solution.csv"
    header, first, *rows = table.read_text().splitlines()
    name, wnid = first.split(",")[0], first.split(",")[1].split()[0]
    other = next(row.split(",")[1].split()[0] for row in rows if row.split(",")[1].split()[0] != wnid)
    table.write_text("\n".join([header, first.replace(wnid, other), *rows]) + "\n")
    b = packed(copy, tmp_path / "b", split="val")
    assert differing(a, b, capsys) == [f"val: 1 of another class ({name}: {wnid} and {other})"]


def test_classes_and_splits_that_differ_are_told(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a = packed(source, tmp_path / "a")
    shutil.rmtree(source / "train" / "class1")
    shutil.rmtree(source / "val")
    lines = differing(a, packed(source, tmp_path / "b"), capsys)
    assert lines[:2] == ["classes: 3 and 2", "classes: 1 only in the first (class1)"]
    assert lines[-1] == f"val: only in {a}, 6 samples"


def test_tars_of_others_are_compared_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a, b = dataset(tmp_path / "a"), tmp_path / "b"
    shutil.copytree(a, b)
    for root in (a, b):
        index(str(root), IndexConfig())
    assert differing(a, b, capsys) == []
    raw = bytearray((b / "my-train-0001.tar").read_bytes())
    at = raw.index(b"s00010.jpg") + 512  # the first byte of its picture
    raw[at] ^= 1
    (b / "my-train-0001.tar").write_bytes(raw)
    index(str(b), IndexConfig(overwrite=True))
    (line,) = differing(a, b, capsys)
    assert line.startswith("train: 1 of other bytes")
    assert line.endswith("(s00010)")
