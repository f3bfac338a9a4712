"""Files for other readers: right, known to verify, renewed with the dataset, and nobody else's."""

import json
import shutil
import struct
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from support.datasets import contents, picture_tree
from support.foreign_tars import dataset
from tarn.sharding import storage
from tarn.sharding.__main__ import main
from tarn.sharding.errors import TarnError, UsageError
from tarn.sharding.foreign.index import IndexConfig, index
from tarn.sharding.foreign.info import read_info
from tarn.sharding.format.manifest import read_manifest
from tarn.sharding.interchange.dali import dali_index, read_dali_index
from tarn.sharding.interchange.describe import describe
from tarn.sharding.interchange.described import KINDS, NAME, Described
from tarn.sharding.looking.members import Part
from tarn.sharding.packing.pack import PackConfig, pack
from tarn.sharding.verify import VerifyConfig, verify

SMALL = PackConfig(shard_size=10_000)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    pack(picture_tree(tmp_path / "source"), str(tmp_path / "out"), SMALL)
    return tmp_path / "out"


def problems(root: Path, fast: bool = False) -> list[str]:
    return verify(str(root), read_manifest(str(root)), VerifyConfig(fast=fast))


@pytest.mark.parametrize("foreign", [False, True], ids=["ours", "somebody else's"])
def test_dalis_and_energons_indexes_say_where_tarfile_finds_everything(foreign: bool, tmp_path: Path) -> None:
    if foreign:
        root = dataset(tmp_path / "tars")
        index(str(root), IndexConfig())
    else:
        root = tmp_path / "out"
        pack(picture_tree(tmp_path / "source"), str(root), SMALL)
    describe(str(root), ["dali-index", "energon"])
    tars = sorted(root.rglob("*.tar"))
    assert len(tars) > 3
    for path in tars:
        with tarfile.open(path) as tar:
            members = list(tar)
        samples: dict[str, list[tarfile.TarInfo]] = {}
        for member in members:
            samples.setdefault(member.name.rpartition(".")[0], []).append(member)
        rows = list(read_dali_index(path.with_suffix(".dali-idx").read_bytes(), str(path)))
        assert rows == [
            [(it.name.rpartition(".")[2], it.offset_data, it.size, it.name) for it in parts]
            for parts in samples.values()
        ]
        raw = Path(f"{path}.idx").read_bytes()
        last = members[-1]
        end = last.offset_data + -(-last.size // 512) * 512
        assert struct.unpack(f"<{len(raw) // 8}Q", raw) == (*(parts[0].offset for parts in samples.values()), end)
    assert problems(root) == []


def test_dalis_index_cannot_hold_names_with_blanks() -> None:
    with pytest.raises(TarnError, match="has blanks"):
        dali_index([("a b", [Part("a b.jpg", 0, 512, 10)])])
    for raw in (b"", b"v1.1 0\n", b"v1.2 2\njpg 0 1 a.jpg\n", b"v1.2 1\njpg 0 1\n"):
        with pytest.raises(TarnError, match="describe"):
            list(read_dali_index(raw, "x"))


def test_info_json_is_read_back_by_indexing(root: Path) -> None:
    describe(str(root), ["info"])
    info = read_info(str(root))
    manifest = read_manifest(str(root))
    assert info is not None
    assert {split: list(names) for split, names in info.splits.items()} == {
        name: [shard.name for shard in split.shards] for name, split in manifest.splits.items()
    }
    assert sum(info.counts.values()) == 30
    assert json.loads((root / "_info.json").read_text())["class_names"] == ["class0", "class1", "class2"]


def test_kinds_are_added_and_what_is_there_is_renewed(root: Path) -> None:
    describe(str(root), ["info"])
    assert describe(str(root), ["croissant"]).kinds == ("info", "croissant")
    (root / "_info.json").unlink()
    assert describe(str(root), []).kinds == ("info", "croissant")
    assert (root / "_info.json").exists()
    assert problems(root) == []


def test_packing_anew_renews_them_and_leaves_none_of_the_old(root: Path, tmp_path: Path) -> None:
    words = ["pack", str(tmp_path / "source"), str(root), "--shard-size", "10KB", "--workers", "1"]
    assert main([*words, "--dali-index", "--energon"]) == 0
    assert (root / "train" / "train-000000.dali-idx").exists()
    assert main([*words, "--seed", "1", "--overwrite"]) == 0
    assert not (root / "train" / "train-000000.dali-idx").exists()
    assert not (root / "train" / "train-000000.tar.idx").exists()
    assert (root / "train" / "train-g1-000000.dali-idx").exists()
    assert problems(root) == []
    before = contents(root)
    assert main([*words, "--seed", "1"]) == 0
    assert contents(root) == before


def test_those_of_an_earlier_packing_are_told_until_they_are_renewed(root: Path, tmp_path: Path) -> None:
    describe(str(root), KINDS)
    pack(tmp_path / "source", str(root), replace(SMALL, seed=1, overwrite=True))
    (told,) = problems(root, fast=True)
    assert "lists files of another packing" in told
    describe(str(root), [])
    assert problems(root) == []


def test_a_file_that_is_lost_or_changed_is_told(root: Path) -> None:
    describe(str(root), KINDS)
    (root / "croissant.json").write_text("{}")
    (root / "train" / "train-000001.dali-idx").unlink()
    told = problems(root)
    assert sorted(("SHA-256" in line, "is not there" in line) for line in told) == [(False, True), (True, False)]
    assert len(problems(root, fast=True)) == 1


def test_a_kill_between_leaves_nothing_unnamed(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alone, real = set(contents(root)), storage.publish
    for number in range(8):
        copy, done = tmp_path / str(number), list[str]()
        shutil.copytree(root, copy)

        def mortal(url: str, data: bytes, number: int = number, done: list[str] = done) -> None:
            if len(done) == number:
                raise KeyboardInterrupt
            done.append(url)
            real(url, data)

        monkeypatch.setattr(storage, "publish", mortal)
        with pytest.raises(KeyboardInterrupt):
            describe(str(copy), ["energon", "info"])
        monkeypatch.setattr(storage, "publish", real)
        assert set(contents(copy)) - alone <= {NAME, *Described.read(str(copy)).files}
        if number:
            assert any("another packing" in line for line in problems(copy))
        describe(str(copy), ["energon", "info"])
        assert problems(copy) == []


def test_somebody_elses_file_is_left_alone(root: Path) -> None:
    (root / "_info.json").write_text("mine")
    before = contents(root)
    with pytest.raises(UsageError, match="somebody else's: move it away"):
        describe(str(root), ["info", "energon"])
    assert contents(root) == before


@pytest.mark.parametrize("name", ["../outside", "/etc/outside", "train/../../outside"])
def test_a_list_that_leads_outside_removes_nothing(name: str, root: Path) -> None:
    outside = root.parent / "outside"
    outside.write_text("mine")
    describe(str(root), ["info"])
    told = json.loads((root / NAME).read_text())
    told["files"][name] = "0"
    (root / NAME).write_text(json.dumps(told))
    with pytest.raises(TarnError, match="is no list of Tarn's"):
        describe(str(root), [])
    assert outside.read_text() == "mine"


def test_nothing_asked_for_and_tars_elsewhere_are_refused(root: Path, tmp_path: Path) -> None:
    assert main(["describe", str(root)]) == 2
    tars = dataset(tmp_path / "tars")
    index(str(tars), IndexConfig(out=str(tmp_path / "indexes")))
    with pytest.raises(UsageError, match="describe those there"):
        describe(str(tmp_path / "indexes"), ["dali-index"])


def test_a_store_is_described_too(tmp_path: Path) -> None:
    store = "memory://described"
    pack(picture_tree(tmp_path / "source"), store, SMALL)
    assert describe(store, KINDS).kinds == KINDS
    assert verify(store, read_manifest(store)) == []
