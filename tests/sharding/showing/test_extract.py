"""Pictures come back as files of an ImageFolder tree, with their own bytes, and never outside of the folder."""

import json
from pathlib import Path

import pytest

from support.datasets import contents, picture_tree
from support.disks import full_disk
from support.foreign_tars import write_members
from tarn.sharding.__main__ import main
from tarn.sharding.errors import TarnError, UsageError
from tarn.sharding.foreign.index import IndexConfig, index
from tarn.sharding.format.manifest import HEADER, read_manifest
from tarn.sharding.interchange.describe import describe
from tarn.sharding.looking.dataset import Dataset
from tarn.sharding.packing.pack import PackConfig, pack
from tarn.sharding.packing.preparation import Preparation
from tarn.sharding.showing.extract import ExtractConfig, extract
from tarn.sharding.showing.search import search
from tarn.sharding.statistics.collect import collect

KEPT = PackConfig(shard_size=10_000, preparation=Preparation(tile=0))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    pack(picture_tree(tmp_path / "source"), str(tmp_path / "out"), KEPT)
    return tmp_path / "out"


def test_an_imagefolder_comes_back_byte_for_byte_and_packs_to_the_same_shards(root: Path, tmp_path: Path) -> None:
    assert extract(Dataset(str(root)), tmp_path / "tree", ExtractConfig()) == {"train": 24, "val": 6}
    assert contents(tmp_path / "tree") == contents(tmp_path / "source")
    pack(tmp_path / "tree", str(tmp_path / "again"), KEPT)
    assert contents(tmp_path / "again") == contents(root)


def test_kaggle_keys_go_into_class_folders(shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["extract", str(shards), str(tmp_path / "tree"), "--split", "val"]) == 0
    assert "val 40 pictures" in capsys.readouterr().out
    files = list((tmp_path / "tree").glob("val/n*/ILSVRC2012_val_*"))
    assert len(files) == 40 == len(contents(tmp_path / "tree"))


def test_a_part_is_extracted(root: Path, tmp_path: Path) -> None:
    config = ExtractConfig(splits=("train",), classes=("class2 and its name", "class0"), limit=7)
    assert extract(Dataset(str(root)), tmp_path / "tree", config) == {"train": 7}
    assert {name.split("/")[1] for name in contents(tmp_path / "tree")} <= {"class0", "class2"}
    with pytest.raises(UsageError, match="has no class nope"):
        extract(Dataset(str(root)), tmp_path / "tree", ExtractConfig(classes=("nope",)))


def test_the_same_command_goes_on_where_it_was_stopped_and_another_file_stops_it(root: Path, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    extract(Dataset(str(root)), tree, ExtractConfig(limit=5))
    whole = contents(tree)
    assert extract(Dataset(str(root)), tree, ExtractConfig()) == {"train": 24, "val": 6}
    assert whole.items() <= contents(tree).items()
    first = tree / next(iter(whole))
    first.write_bytes(b"somebody's own")
    with pytest.raises(TarnError, match="is there already and is another file"):
        extract(Dataset(str(root)), tree, ExtractConfig())
    assert first.read_bytes() == b"somebody's own"


def test_a_damaged_picture_is_not_written(root: Path, tmp_path: Path) -> None:
    path = root / "train" / "train-000000.tar"
    raw = bytearray(path.read_bytes())
    raw[1700] ^= 1
    path.write_bytes(raw)
    with pytest.raises(TarnError, match="sample 0 does not have the CRC-32 of its index"):
        extract(Dataset(str(root)), tmp_path / "tree", ExtractConfig())
    assert contents(tmp_path / "tree") == {}


EVIL = ("../../out", "/etc/x", "a/../../b", "..", "-rf", "x" * 240, "ä ö\n", "con:x*?")


def test_no_name_leads_outside(tmp_path: Path) -> None:
    """Keys and classes of somebody else's tars, called as only somebody bad would."""
    home = tmp_path / "tars"
    members = []
    for number, key in enumerate(EVIL):
        told = json.dumps({"label": number, "text": f"../{number}"}).encode()
        members += [(f"{key}/k.jpg", f"picture {number}".encode()), (f"{key}/k.json", told)]
    write_members(home / "train-0.tar", members, 1)
    index(str(home), IndexConfig())
    manifest = json.loads((home / "manifest.json").read_text())
    for number, info in enumerate(manifest["classes"]):
        info["wnid"] = EVIL[number]
    (home / "manifest.json").write_text(json.dumps(manifest))
    before = set(tmp_path.rglob("*"))
    tree = tmp_path / "deep" / "er" / "tree"
    assert extract(Dataset(str(home)), tree, ExtractConfig()) == {"train": len(EVIL)}
    made = set(tmp_path.rglob("*")) - before - set(tree.parents)
    assert all(path == tree or path.is_relative_to(tree) for path in made)
    assert sorted(contents(tree).values()) == [f"picture {number}".encode() for number in range(len(EVIL))]


def test_a_packed_dataset_is_no_place_to_extract_to(root: Path) -> None:
    with pytest.raises(UsageError, match="holds a packed dataset"):
        extract(Dataset(str(root)), root, ExtractConfig())


def test_classes_of_all_letters_come_back_by_their_names(tmp_path: Path) -> None:
    tree = picture_tree(tmp_path / "source")
    for split in ("train", "val"):
        for number, name in enumerate(("Größe", "x+y (2)", "猫 & 犬")):
            (tree / split / f"class{number}").rename(tree / split / name)
    pack(tree, str(tmp_path / "out"), KEPT)
    extract(Dataset(str(tmp_path / "out")), tmp_path / "tree", ExtractConfig())
    there, here = contents(tmp_path / "tree"), contents(tree)
    assert {name.rpartition("/")[0] for name in there} == {name.rpartition("/")[0] for name in here}
    assert sorted(there.values()) == sorted(here.values())
    assert all(name.rpartition("/")[2].startswith(("train", "val")) for name in there)  # the class is not told twice


@pytest.mark.parametrize("words", [["extract", "{root}", "s3://b/x"], ["stats", "{root}", "--out", "s3://b/x"]])
def test_a_url_is_no_folder_to_write_to(
    words: list[str], root: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before = contents(tmp_path)
    assert main([word.format(root=root) for word in words]) == 2
    assert "=s3://b/x is a URL: give a path of this machine" in capsys.readouterr().err
    assert contents(tmp_path) == before


def test_a_picture_never_comes_into_another_class_by_an_index_that_changed(root: Path, tmp_path: Path) -> None:
    path = root / "train" / "train-000000.idx"
    raw = bytearray(path.read_bytes())
    raw[HEADER + 12] ^= 1  # of the first record's label
    path.write_bytes(raw)
    told = f"{path} does not have the SHA-256 of the manifest"
    with pytest.raises(TarnError, match=told):
        extract(Dataset(str(root)), tmp_path / "tree", ExtractConfig())
    with pytest.raises(TarnError, match=told):
        list(collect(str(root), read_manifest(str(root))))
    with pytest.raises(TarnError, match=told):
        search(Dataset(str(root)), "train-000000:0")
    with pytest.raises(TarnError, match=told):
        describe(str(root), ["dali-index"])
    assert contents(tmp_path / "tree") == {}


def test_a_full_disk_leaves_no_half_written_file(root: Path, tmp_path: Path) -> None:
    with full_disk(500), pytest.raises(TarnError, match=r"cannot be written \(File too large\)"):
        extract(Dataset(str(root)), tmp_path / "tree", ExtractConfig())
    assert contents(tmp_path / "tree") == {}


def test_an_output_without_a_name_is_not_the_working_folder(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    assert main(["extract", str(root), ""]) == 2
    assert list(Path().iterdir()) == []
