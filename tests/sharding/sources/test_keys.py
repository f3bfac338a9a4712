"""Names of all kinds become keys that a tar can hold, and stay apart."""

import os
import shutil
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from support.datasets import contents
from support.downloads import zipped
from support.tables import write_jsonl
from tarn.sharding.__main__ import main
from tarn.sharding.format.manifest import read_manifest
from tarn.sharding.packing.pack import PackConfig, pack
from tarn.sharding.sources.find import read_source
from tarn.sharding.sources.keys import MOST, unique_keys
from tarn.sharding.verify import VerifyConfig, verify

NAMES = (
    *("plain", "my cat", "v1.2.final", "Kätzchen", "猫", "🐈", "new\nline", "back\\slash", "'quoted'", "-rf", "a:b"),
    *("x" * 120, "x" * 120 + "y", "my_cat", "con", "%s{}", "$HOME", "tab\there", "n01440764.JPEG"),
)


SURROGATES = st.characters(min_codepoint=0xD800, max_codepoint=0xDFFF)  # of files that are no UTF-8, and of JSON
NAME = st.characters(exclude_categories=("Cs",)) | SURROGATES | st.just("/")


@given(st.lists(st.text(NAME, min_size=1), unique=True, max_size=20))
def test_different_texts_have_different_keys_of_few_characters(texts: list[str]) -> None:
    keys = unique_keys(texts)
    assert len(set(keys)) == len(texts)
    assert all(len(key) <= MOST and key.isascii() and not set(key) & set(". \\\n") for key in keys)
    assert all("" not in key.split("/") for key in keys)  # no absolute name, no hidden file


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Two classes of odd names, and pictures of all kinds of names in both."""
    for split in ("train", "val"):
        for label, folder in enumerate(("great white shark", "häi.v2")):
            (tmp_path / "in" / split / folder).mkdir(parents=True)
            for number, name in enumerate(NAMES):
                path = tmp_path / "in" / split / folder / f"{name}.jpg"
                Image.new("RGB", (20, 20), (number * 9, label * 90, 7)).save(path, "JPEG")
    return tmp_path / "in"


def test_odd_names_are_packed_from_trees_and_zips_alike_and_found_again(tree: Path, tmp_path: Path) -> None:
    pack(tree, tmp_path / "one", PackConfig())
    assert read_manifest(tmp_path / "one").splits["train"].samples == 2 * len(NAMES)
    assert [info.wnid for info in read_manifest(tmp_path / "one").classes] == ["great white shark", "häi.v2"]
    assert verify(tmp_path / "one", read_manifest(tmp_path / "one"), VerifyConfig(source=tree)) == []
    for path in (*tree.rglob("*\\*"), *tree.rglob("*\n*")):
        path.unlink()
    pack(tree, tmp_path / "fewer", PackConfig())
    pack(zipped(tree, tmp_path / "x.zip"), tmp_path / "zip", PackConfig())
    assert contents(tmp_path / "zip") == contents(tmp_path / "fewer")


def test_names_that_are_no_text_are_packed_too(tree: Path, tmp_path: Path) -> None:
    odd = os.fsdecode(b"caf\xe9.jpg")
    (tree / "train" / "häi.v2" / "plain.jpg").rename(tree / "train" / "häi.v2" / odd)
    assert main(["pack", str(tree), str(tmp_path / "out"), "--workers=1"]) == 0
    assert len(read_source(tmp_path / "out", "train").splits["train"]) == 2 * len(NAMES)


def test_pictures_of_nested_folders_of_one_name_have_keys_of_their_own(pictures: Path, tmp_path: Path) -> None:
    """In a Kaggle tree, whose keys are the files' names as long as these are unique."""
    root = tmp_path / "kaggle"
    shutil.copytree(pictures, root)
    classes = sorted((root / "ILSVRC/Data/CLS-LOC/train").iterdir())[:2]
    for folder in classes:
        (folder / "more").mkdir()
        shutil.copy(next(folder.glob("*.JPEG")), folder / "more" / "same.JPEG")
    found = read_source(root, "train").splits["train"]
    assert len({picture.key for picture in found}) == len(found) == 122


def test_keys_of_a_column_are_names_below_the_tar_that_readers_see(tmp_path: Path) -> None:
    rows = [{"path": f"{number}.jpg", "label": "cat", "key": key} for number, key in enumerate(COLUMN)]
    for row in rows:
        Image.new("RGB", (20, 20)).save(tmp_path / row["path"])
    write_jsonl(tmp_path / "x.jsonl", rows)
    out = str(tmp_path / "out")
    assert main(["pack", str(tmp_path / "x.jsonl"), out, "--column", "key=key"]) == 0
    with tarfile.open(tmp_path / "out" / "train" / "train-000000.tar") as tar:
        names = tar.getnames()
    assert len(set(names)) == 2 * len(COLUMN)
    assert not [name for name in names if name.startswith("/") or "" in name.split("/")]
    assert not [name for name in names if name.rpartition("/")[2].startswith(".")]


COLUMN = ("/etc/passwd", "x/", "a//b", "/", "../up", "\ud800", "plain")
