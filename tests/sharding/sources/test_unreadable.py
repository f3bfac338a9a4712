"""Folders and files of a source that a user may not read: one sentence, whoever packs."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from support.datasets import picture_tree
from support.downloads import zipped
from support.permissions import as_a_user, folder_for_all
from support.webdataset_tars import webdataset_tars
from tarn.sharding.errors import TarnError
from tarn.sharding.packing.pack import PackConfig, pack
from tarn.sharding.packing.preparation import Preparation
from tarn.sharding.sources.find import read_source

PLAIN = PackConfig(preparation=Preparation(tile=0, check="off"))


@pytest.fixture
def home() -> Iterator[Path]:
    with folder_for_all() as folder:
        picture_tree(folder / "tree")
        (folder / "out").mkdir()
        (folder / "out").chmod(0o777)
        zipped(folder / "tree", folder / "x.zip")
        webdataset_tars(read_source(folder / "tree", "all"), folder / "tars")
        for number, given in enumerate(("tree", "x.zip", "tars")):  # so that a user need not import anything
            pack(folder / given, folder / f"warm{number}", PLAIN)
        yield folder


@pytest.mark.parametrize("name", ["tree", "tree/train", "tree/train/class1", "tree/val/class0"])
def test_a_folder_that_cannot_be_listed_is_named(name: str, home: Path) -> None:
    (home / name).chmod(0)
    with as_a_user(), pytest.raises(TarnError, match=rf"{name}\S* cannot be listed \(Permission denied\): check"):
        read_source(home / "tree", "all")
    (home / name).chmod(0o755)


@pytest.mark.parametrize("name", ["tree", "x.zip", "tars", "tars/x-val-0000.tar", "tars/*.tar"])
def test_what_lies_in_a_closed_folder_is_told(name: str, home: Path) -> None:
    home.chmod(0)
    with as_a_user(), pytest.raises(TarnError, match=r"cannot be looked at \(Permission denied\)"):
        read_source(home / name, "all")
    home.chmod(0o755)


@pytest.mark.parametrize("bad", ["fail", "skip"])
def test_a_picture_that_cannot_be_read_is_named_and_never_skipped(bad: str, home: Path) -> None:
    (home / "tree" / "train" / "class1" / "train3.jpg").chmod(0)
    with as_a_user(), pytest.raises(TarnError, match=r"1 unreadable picture \(\S*train3\.jpg: Permission denied\)"):
        pack(home / "tree", home / "out" / "new", replace(PLAIN, bad=bad, split="train"))
    assert not (home / "out" / "new" / "manifest.json").exists()


def test_an_archive_and_a_shard_that_cannot_be_read_are_named(home: Path) -> None:
    for name in ("x.zip", "tars/x-val-0000.tar"):
        (home / name).chmod(0)
        with as_a_user(), pytest.raises(TarnError, match=rf"{name} cannot be read \(Permission denied\)"):
            read_source(home / name.partition("/")[0], "all")
