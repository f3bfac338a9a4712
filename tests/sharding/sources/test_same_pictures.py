"""Whatever the same pictures are packed from, the shards are the same bytes."""

import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from support.checkout import REAL_PICTURES
from support.datasets import contents, picture_tree
from support.downloads import PICTURES, ilsvrc_tars, zipped
from support.webdataset_tars import webdataset_tars
from tarn.sharding.__main__ import main
from tarn.sharding.errors import TarnError, UsageError
from tarn.sharding.format.manifest import read_manifest
from tarn.sharding.packing import plan
from tarn.sharding.packing.folded import Folded
from tarn.sharding.packing.pack import PackConfig, pack
from tarn.sharding.packing.preparation import Preparation
from tarn.sharding.packing.repair import repair
from tarn.sharding.resharding.words import SampleWords
from tarn.sharding.sources.devkit import PACKED
from tarn.sharding.sources.find import look_at, read_source
from tarn.sharding.sources.ilsvrc import TRAIN, VAL
from tarn.sharding.sources.kaggle import SOLUTION, SYNSETS

SMALL = PackConfig(shard_size=1_000_000)


@pytest.fixture(scope="module")
def tars(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The drawn pictures as image-net.org would have them. To be read only."""
    return ilsvrc_tars(pictures, tmp_path_factory.mktemp("downloaded") / "tars")


def shards_of(root: Path) -> dict[str, bytes]:
    """Without what says how they were packed."""
    return {name: data for name, data in contents(root).items() if not name.endswith(".json")}


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("above", ["", "imagenet/"])
def test_the_kaggle_zip_is_packed_as_the_tree(
    method: int, above: str, pictures: Path, shards: Path, tmp_path: Path
) -> None:
    pack(zipped(pictures, tmp_path / "x.zip", method, above), tmp_path / "out", SMALL)
    assert contents(tmp_path / "out") == contents(shards)


def test_two_processes_read_one_zip(pictures: Path, shards: Path, tmp_path: Path) -> None:
    pack(zipped(pictures, tmp_path / "x.zip"), tmp_path / "out", replace(SMALL, workers=2))
    assert contents(tmp_path / "out") == contents(shards)


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("archive", [False, True])
def test_many_pictures_which_are_folded_are_packed_as_few(
    archive: bool, workers: int, pictures: Path, shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan, "MANY", 40)
    source = zipped(pictures, tmp_path / "x.zip") if archive else pictures
    pack(source, tmp_path / "out", replace(SMALL, workers=workers))
    assert contents(tmp_path / "out") == contents(shards)
    name = read_manifest(tmp_path / "out").split("train").shards[1].name
    (tmp_path / "out" / name).unlink()
    assert repair(str(tmp_path / "out"), source) == (name,)
    assert contents(tmp_path / "out") == contents(shards)


def test_folded_pictures_are_those_that_were_folded(pictures: Path) -> None:
    them = read_source(pictures, "val").splits["val"]
    folded = Folded.of(them)
    assert tuple(folded) == them
    assert (len(folded), folded[3], folded[-2:]) == (len(them), them[3], them[-2:])


def test_a_zip_of_an_imagefolder_is_packed_as_the_tree(tmp_path: Path) -> None:
    tree = picture_tree(tmp_path / "tree")
    pack(tree, tmp_path / "one", SMALL)
    pack(zipped(tree, tmp_path / "x.zip", above="flowers/"), tmp_path / "two", SMALL)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_what_a_mac_puts_into_a_zip_is_passed_over(tmp_path: Path) -> None:
    path = zipped(picture_tree(tmp_path / "tree"), tmp_path / "x.zip", above="flowers/")
    with zipfile.ZipFile(path, "a") as out:
        out.writestr("__MACOSX/flowers/train/class0/._train0.jpg", b"fork")
        out.writestr("flowers/train/class0/.DS_Store", b"view")
    found = read_source(path, "all")
    assert [len(split) for split in found.splits.values()] == [24, 6]
    assert found.passed.counts == {"hidden files": 1}


def test_the_tars_of_ilsvrc_are_packed_as_the_tree(tars: Path, shards: Path, tmp_path: Path) -> None:
    pack(tars, tmp_path / "out", SMALL)
    assert shards_of(tmp_path / "out") == shards_of(shards)
    assert read_manifest(tmp_path / "out").classes == read_manifest(shards).classes


@pytest.mark.parametrize("label", ["cls", "json"])
def test_shards_of_others_are_packed_as_the_tree(label: str, pictures: Path, shards: Path, tmp_path: Path) -> None:
    tars = webdataset_tars(read_source(pictures, "all"), tmp_path / "tars", label=label)
    words = SampleWords.chosen(None, None, str(pictures / SYNSETS), "none")
    pack(tars, tmp_path / "out", replace(SMALL, samples=words))
    assert shards_of(tmp_path / "out") == shards_of(shards)
    assert read_manifest(tmp_path / "out").classes == read_manifest(shards).classes


@pytest.mark.parametrize("tile", [0, 40])
def test_a_packed_dataset_is_packed_as_the_tree(tile: int, pictures: Path, tmp_path: Path) -> None:
    how = replace(SMALL, preparation=Preparation(tile=tile))
    pack(pictures, tmp_path / "tree", how)
    pack(pictures, tmp_path / "other", replace(how, shard_size=300_000, seed=7, preparation=Preparation(tile=0)))
    pack(tmp_path / "other", tmp_path / "again", how)
    assert shards_of(tmp_path / "again") == shards_of(tmp_path / "tree")
    assert read_manifest(tmp_path / "again").classes == read_manifest(tmp_path / "tree").classes


@pytest.mark.parametrize("name", [TRAIN, VAL, PACKED])
def test_one_of_the_tars_finds_the_others_beside_it(name: str, tars: Path) -> None:
    assert {split: len(found) for split, found in read_source(tars / name, "all").splits.items()} == {
        "train": 120,
        "val": 40,
    }


def test_train_alone_needs_no_kit_and_val_alone_no_train(tars: Path, pictures: Path, tmp_path: Path) -> None:
    shutil.copy(tars / TRAIN, tmp_path)
    found = read_source(tmp_path, "all")
    assert list(found.splits) == ["train"]
    assert [info.name for info in found.classes] == sorted(
        path.name for path in (pictures / PICTURES / "train").iterdir()
    )
    (tmp_path / TRAIN).unlink()
    shutil.copy(tars / VAL, tmp_path)
    with pytest.raises(TarnError, match=rf"tells no labels: put {PACKED} beside it"):
        read_source(tmp_path, "all")
    shutil.copy(tars / PACKED, tmp_path)
    found = read_source(tmp_path, "all")
    assert list(found.splits) == ["val"]
    assert len(found.classes) == 10


def test_the_kit_may_be_unpacked(tars: Path, tmp_path: Path) -> None:
    shutil.copy(tars / VAL, tmp_path)
    shutil.unpack_archive(tars / PACKED, tmp_path)
    told = [
        {picture.key: picture.label for picture in read_source(place, "val").splits["val"]}
        for place in (tars, tmp_path)
    ]
    assert told[0] == told[1]
    assert len(set(told[0].values())) == 10


def test_pack_tells_what_it_saw(tars: Path, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["pack", str(tars), str(tmp_path / "out"), "--split=val", "--workers=1"]) == 0
    assert f"source: the tars of ILSVRC 2012 ({TRAIN}, {VAL}), read in place, {tars}\n" in capsys.readouterr().out
    assert look_at(pictures).what == "the Kaggle ILSVRC download"
    assert "a zip of the Kaggle" in look_at(zipped(pictures, tmp_path / "x.zip")).what


def test_a_kind_may_be_forced_and_must_then_fit(pictures: Path, tars: Path, tmp_path: Path) -> None:
    renamed = zipped(pictures, tmp_path / "x.dat")
    assert len(read_source(renamed, "val", "zip").splits["val"]) == 40
    with pytest.raises(UsageError, match="so it is no --source kaggle"):
        read_source(picture_tree(tmp_path / "tree"), "all", "kaggle")
    with pytest.raises(UsageError, match="holds neither ILSVRC2012_img_train"):
        read_source(pictures, "all", "ilsvrc")
    with pytest.raises(UsageError, match="not of --source kaggle: leave --source out"):
        read_source(tars / TRAIN, "all", "kaggle")
    with pytest.raises(UsageError, match="neither a Kaggle"):
        read_source(renamed, "val", "folder")


def test_a_folder_with_the_kaggle_zip_names_it(pictures: Path, tmp_path: Path) -> None:
    zipped(pictures, tmp_path / "imagenet-object-localization-challenge.zip")
    with pytest.raises(UsageError, match=r"as a zip: give .*imagenet-object-localization-challenge\.zip"):
        read_source(tmp_path, "all")
    shutil.copytree(pictures, tmp_path, dirs_exist_ok=True)
    (tmp_path / SOLUTION).unlink()
    with pytest.raises(TarnError, match=f"{SOLUTION} cannot be read"):
        read_source(tmp_path, "all")


@pytest.mark.skipif(not REAL_PICTURES.is_dir(), reason="the real photographs are not beside the checkout")
def test_real_photographs_too(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    shutil.copytree(REAL_PICTURES / PICTURES / "val", tree / PICTURES / "val")
    for name in (SOLUTION, SYNSETS):
        shutil.copy(REAL_PICTURES / name, tree)
    given = {
        "of tree": tree,
        "of stored": zipped(tree, tmp_path / "stored.zip"),
        "of deflated": zipped(tree, tmp_path / "deflated.zip", zipfile.ZIP_DEFLATED),
        "of tars": ilsvrc_tars(tree, tmp_path / "tars"),
        "of shards": webdataset_tars(read_source(tree, "val"), tmp_path / "shards"),
    }
    plain = PackConfig(split="val", preparation=Preparation(tile=0, check="off"))
    for name, source in given.items():
        pack(source, tmp_path / name, plain)
    digests = [[shard.sha256 for shard in read_manifest(tmp_path / name).splits["val"].shards] for name in given]
    assert digests == [digests[0]] * 5
    assert len(read_manifest(tmp_path / "of tars").classes) == 1000
