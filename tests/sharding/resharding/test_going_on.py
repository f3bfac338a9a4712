"""What follows a packing, with shards as its source: going on with it, mending it, comparing it, a part of it."""

from dataclasses import replace
from pathlib import Path

import pytest

from support.datasets import contents, picture_tree
from support.interrupting import interrupt_behind
from support.webdataset_tars import webdataset_tars
from tarn.sharding.__main__ import main
from tarn.sharding.errors import TarnError, UsageError
from tarn.sharding.foreign.reading import Reading
from tarn.sharding.format.manifest import read_manifest
from tarn.sharding.packing.pack import PackConfig, pack
from tarn.sharding.packing.repair import repair
from tarn.sharding.resharding.words import SampleWords
from tarn.sharding.sources.find import read_source
from tarn.sharding.sources.selection import Selection
from tarn.sharding.verify import VerifyConfig, verify

CONFIG = PackConfig(shard_size=10_000)
NAMES = "dog\ncat\neel\n"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return picture_tree(tmp_path / "tree")


@pytest.fixture(params=["theirs", "ours"])
def source(request: pytest.FixtureRequest, tree: Path, tmp_path: Path) -> Path:
    if request.param == "theirs":
        return webdataset_tars(read_source(tree, "all"), tmp_path / "source", of_each=10)
    pack(tree, tmp_path / "source", PackConfig(shard_size=25_000, seed=9))
    return tmp_path / "source"


def shards_of(root: Path) -> dict[str, bytes]:
    return {name: data for name, data in contents(root).items() if name.endswith((".tar", ".idx"))}


def test_an_interrupted_packing_goes_on_to_the_same_bytes(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pack(source, tmp_path / "alone", CONFIG)
    interrupt_behind(3, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        pack(source, tmp_path / "out", CONFIG)
    monkeypatch.undo()
    told: list[str] = []
    pack(source, tmp_path / "out", replace(CONFIG, workers=2), told.append)
    assert any(line.startswith("going on with an unfinished packing: 3 of ") for line in told)
    assert contents(tmp_path / "out") == contents(tmp_path / "alone")
    assert pack(source, tmp_path / "out", CONFIG)[1] == []


def test_what_is_broken_is_made_anew_from_shards(source: Path, tmp_path: Path) -> None:
    pack(source, tmp_path / "out", CONFIG)
    before = contents(tmp_path / "out")
    (tmp_path / "out" / "train" / "train-000001.tar").unlink()
    (tmp_path / "out" / "val" / "val-000000.idx").write_bytes(b"x")
    assert set(repair(str(tmp_path / "out"), source)) == {"train/train-000001.tar", "val/val-000000.tar"}
    assert contents(tmp_path / "out") == before


def test_how_the_samples_were_read_need_not_be_said_again(tree: Path, tmp_path: Path) -> None:
    tars = webdataset_tars(read_source(tree, "all"), tmp_path / "source", of_each=10, label="json")
    (tmp_path / "names.txt").write_text(NAMES)
    words = SampleWords.chosen("jpg", "json:label", str(tmp_path / "names.txt"))
    config = replace(CONFIG, samples=words, selection=Selection(classes=("cat", "eel")))
    pack(tars, tmp_path / "out", config)
    assert [info.wnid for info in read_manifest(tmp_path / "out").classes] == ["cat", "eel"]
    (tmp_path / "names.txt").unlink()
    before = contents(tmp_path / "out")
    (tmp_path / "out" / "train" / "train-000001.tar").unlink()
    assert repair(str(tmp_path / "out"), tars) == ("train/train-000001.tar",)
    assert contents(tmp_path / "out") == before
    assert verify(tmp_path / "out", read_manifest(tmp_path / "out"), VerifyConfig(source=tars)) == []
    with pytest.raises(UsageError, match="packed with another shards"):
        pack(tars, tmp_path / "out", replace(config, samples=replace(words, reading=Reading())))


def test_another_source_is_refused_by_repair_and_told_by_verify(source: Path, tree: Path, tmp_path: Path) -> None:
    pack(source, tmp_path / "out", CONFIG)
    (tmp_path / "out" / "train" / "train-000001.tar").unlink()
    other = webdataset_tars(read_source(picture_tree(tmp_path / "more", train=9), "all"), tmp_path / "other")
    with pytest.raises(UsageError, match="is not what the split 'train' of"):
        repair(str(tmp_path / "out"), other)
    pack(source, tmp_path / "out", replace(CONFIG, overwrite=True))
    told = verify(tmp_path / "out", read_manifest(tmp_path / "out"), VerifyConfig(source=other))
    assert any("3 pictures of the source that are missing" in line for line in told)


def test_the_tree_that_the_shards_came_from_verifies_them_and_they_it(source: Path, tree: Path, tmp_path: Path) -> None:
    pack(source, tmp_path / "out", CONFIG)
    classes = {info.wnid for info in read_manifest(tmp_path / "out").classes}
    if classes == {"class0", "class1", "class2"}:  # numbers alone name no class
        assert main(["verify", str(tmp_path / "out"), f"--source={tree}"]) == 0
    assert main(["verify", str(tmp_path / "out"), f"--source={source}"]) == 0


@pytest.mark.parametrize(
    "selection", [Selection(subset=0.5), Selection(limit=4), Selection(subset=10, limit=5)], ids=str
)
def test_the_same_part_of_shards_as_of_the_tree_is_packed(
    selection: Selection, source: Path, tree: Path, tmp_path: Path
) -> None:
    config = replace(CONFIG, selection=selection, seed=3)
    pack(source, tmp_path / "out", config)
    pack(tree, tmp_path / "wanted", config)
    keys = [
        {name for name in contents(root) if name.endswith(".tar")} for root in (tmp_path / "out", tmp_path / "wanted")
    ]
    assert keys[0] == keys[1]
    found, wanted = (read_source(tmp_path / name, "all").splits for name in ("out", "wanted"))
    assert {split: [(it.key, it.label) for it in found[split]] for split in found} == {
        split: [(it.key, it.label) for it in wanted[split]] for split in wanted
    }


def test_what_is_expected_is_counted(source: Path, tmp_path: Path) -> None:
    with pytest.raises(TarnError, match=r"holds 24 of train in place of 25 \(--expect"):
        pack(source, tmp_path / "out", replace(CONFIG, expect="train=25,classes=3"))
    pack(source, tmp_path / "out", replace(CONFIG, expect="train=24,val=6,classes=3"))


def test_pictures_are_made_smaller_from_shards_as_from_the_tree(tree: Path, tmp_path: Path) -> None:
    tars = webdataset_tars(read_source(tree, "all"), tmp_path / "source", of_each=10)
    words = ["--short-side=32", "--quality=80", "--workers=1", "--shard-size=10KB"]
    for given, out in ((tree, "wanted"), (tars, "out")):
        assert main(["pack", str(given), str(tmp_path / out), *words]) == 0
    assert shards_of(tmp_path / "out") == shards_of(tmp_path / "wanted")


def test_a_dataset_that_is_replaced_while_it_is_packed_is_read_to_its_end(tree: Path, tmp_path: Path) -> None:
    root = tmp_path / "source"
    pack(tree, root, PackConfig(shard_size=25_000))
    found, before = read_source(root, "all"), shards_of(root)
    pack(tree, root, PackConfig(shard_size=50_000, seed=4, overwrite=True))
    assert before.items() <= shards_of(root).items()
    assert all(picture.place.read() for split in found.splits.values() for picture in split)
