"""Shards whose bytes were changed anywhere: an error of ours, or what is really there."""

import contextlib
import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.datasets import picture_tree
from support.webdataset_tars import webdataset_tars
from tarn.sharding.archives.archive import DamagedMemberError
from tarn.sharding.errors import TarnError
from tarn.sharding.packing.pack import PackConfig, pack
from tarn.sharding.sources.find import read_source

CHANGED = settings(max_examples=60, deadline=None)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return picture_tree(tmp_path_factory.mktemp("damaged") / "tree", classes=2, train=2, val=1)


@pytest.fixture(scope="module")
def ours(tree: Path) -> Path:
    pack(tree, tree.parent / "ours", PackConfig())
    return tree.parent / "ours"


@CHANGED
@given(data=st.data())
def test_tars_of_others_are_read_as_their_headers_say_or_not_at_all(data: st.DataObject, tree: Path) -> None:
    path = tree.parent / "tars" / "x-train-0000.tar"
    webdataset_tars(read_source(tree, "all"), path.parent, label=data.draw(st.sampled_from(("cls", "json"))))
    raw = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        block = data.draw(st.integers(0, len(raw) // 512 - 1))
        raw[block * 512 + data.draw(st.integers(0, 511))] = data.draw(st.integers(0, 255))
    path.write_bytes(raw[: data.draw(st.none() | st.integers(0, len(raw)))])
    with contextlib.suppress(TarnError):
        for picture in read_source(path.parent, "train").splits["train"]:
            assert len(picture.place.read()) == picture.size
            assert picture.label >= 0


@CHANGED
@given(data=st.data())
def test_of_a_dataset_nothing_is_read_that_its_manifest_does_not_vouch_for(
    data: st.DataObject, tree: Path, ours: Path
) -> None:
    root = tree.parent / "changed"
    shutil.rmtree(root, ignore_errors=True)
    shutil.copytree(ours, root)
    expected = {it.key: (it.label, it.place.read()) for it in read_source(root, "train").splits["train"]}
    ending = data.draw(st.sampled_from((".tar", ".idx", "manifest.json")))
    path = next(path for path in sorted(root.rglob(f"*{ending}")) if "val" not in path.name)
    raw = bytearray(path.read_bytes())
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    path.write_bytes(raw)
    try:
        for picture in read_source(root, "train").splits["train"]:
            with contextlib.suppress(DamagedMemberError):
                label, read = expected.get(picture.key, (picture.label, picture.place.read()))
                assert (picture.label, picture.place.read()) == (label, read)
    except TarnError:
        return
