"""Parquet and listings of the same pictures give the same shards as the tree, and are read as any other source is."""

import json
import shutil
import tarfile
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from support.checkout import REAL_PICTURES
from support.datasets import contents, picture_tree
from support.interrupting import interrupt_behind
from support.tables import hub_parquet, rows_of_kaggle, write_csv, write_jsonl
from tarn.sharding.__main__ import main
from tarn.sharding.errors import TarnError, UsageError
from tarn.sharding.format.manifest import read_manifest
from tarn.sharding.packing.pack import PackConfig, pack
from tarn.sharding.packing.preparation import Preparation
from tarn.sharding.packing.repair import repair
from tarn.sharding.sources.find import look_at, read_source
from tarn.sharding.sources.selection import Selection
from tarn.sharding.sources.table import Table
from tarn.sharding.verify import VerifyConfig, verify

WHOLE = PackConfig(shard_size=100_000_000)
SMALL = PackConfig(shard_size=300_000)

Made = Callable[[Path, Path], Path]


def csv_of(tree: Path, folder: Path) -> Path:
    return write_csv(folder / "list.csv", rows_of_kaggle(tree))


MADE: dict[str, Made] = {
    "csv": csv_of,
    "csv of an old Mac": lambda tree, folder: write_csv(folder / "list.csv", rows_of_kaggle(tree), "\r", "\ufeff"),
    "csv of Windows": lambda tree, folder: write_csv(folder / "list.csv", rows_of_kaggle(tree), "\r\n", "", ";"),
    "tsv": lambda tree, folder: write_csv(folder / "list.tsv", rows_of_kaggle(tree), comma="\t"),
    "jsonl": lambda tree, folder: write_jsonl(folder / "list.jsonl", rows_of_kaggle(tree)),
    "jsonl of Windows": lambda tree, folder: write_jsonl(folder / "list.ndjson", rows_of_kaggle(tree), "\r\n"),
    "parquet": lambda tree, folder: hub_parquet(tree, folder / "hub"),
}


def base_of(tree: Path, name: str) -> Table:
    return Table(base=str(tree)) if name != "parquet" else Table()


def shards_of(root: Path) -> dict[str, bytes]:
    """Without what says how they were packed."""
    return {name: data for name, data in contents(root).items() if not name.endswith(".json")}


def samples_of(root: Path) -> Counter[tuple[str, str, bytes]]:
    """Split, label and picture of each sample, by the tars alone."""
    found = Counter[tuple[str, str, bytes]]()
    for path in root.glob("*/*.tar"):
        with tarfile.open(path) as tar:
            data = [(member.name, tar.extractfile(member).read()) for member in tar]  # type: ignore[union-attr]
        for (_, label), (_, picture) in zip(data[::2], data[1::2], strict=True):
            found[path.parent.name, label.decode(), picture] += 1
    return found


@pytest.mark.parametrize("name", MADE)
def test_a_table_is_packed_as_the_tree(name: str, pictures: Path, tmp_path: Path) -> None:
    given = MADE[name](pictures, tmp_path)
    pack(pictures, tmp_path / "tree", WHOLE)
    pack(given, tmp_path / "out", replace(WHOLE, table=base_of(pictures, name)))
    assert shards_of(tmp_path / "out") == shards_of(tmp_path / "tree")
    assert verify(tmp_path / "out", read_manifest(tmp_path / "out")) == []


@pytest.mark.parametrize("name", ["csv", "parquet"])
def test_the_list_of_classes_gives_the_classes_of_the_tree_too(
    name: str, pictures: Path, shards: Path, tmp_path: Path
) -> None:
    given = MADE[name](pictures, tmp_path)
    how = replace(base_of(pictures, name), class_list=str(pictures / "LOC_synset_mapping.txt"))
    assert read_source(given, "val", "auto", how).classes == read_manifest(shards).classes


@pytest.mark.parametrize("name", ["csv", "parquet"])
def test_several_shards_by_several_processes_hold_the_same_samples(name: str, pictures: Path, tmp_path: Path) -> None:
    given = MADE[name](pictures, tmp_path)
    config = replace(SMALL, table=base_of(pictures, name))
    pack(pictures, tmp_path / "tree", SMALL)
    for workers in (1, 2):
        pack(given, tmp_path / str(workers), replace(config, workers=workers))
    assert contents(tmp_path / "1") == contents(tmp_path / "2")
    assert len(read_manifest(tmp_path / "1").splits["train"].shards) > 3
    assert samples_of(tmp_path / "1") == samples_of(tmp_path / "tree")


@pytest.mark.parametrize("name", ["jsonl", "parquet"])
def test_an_interrupted_packing_goes_on_to_the_same_bytes(
    name: str, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given, config = MADE[name](pictures, tmp_path), replace(SMALL, table=base_of(pictures, name))
    pack(given, tmp_path / "whole", config)
    with monkeypatch.context() as context:
        interrupt_behind(3, context)
        with pytest.raises(KeyboardInterrupt):
            pack(given, tmp_path / "out", config)
    told: list[str] = []
    pack(given, tmp_path / "out", config, told.append)
    assert any("going on with an unfinished packing: 3 of" in line for line in told)
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")
    assert pack(given, tmp_path / "out", config)[1] == []


@pytest.mark.parametrize("name", ["jsonl", "parquet"])
def test_what_is_broken_is_made_anew_and_labels_are_compared(name: str, pictures: Path, tmp_path: Path) -> None:
    given, how = MADE[name](pictures, tmp_path), base_of(pictures, name)
    pack(given, tmp_path / "out", replace(SMALL, table=how))
    before = contents(tmp_path / "out")
    (tmp_path / "out" / "train" / "train-000001.tar").unlink()
    (tmp_path / "out" / "val" / "val-000000.tar").write_bytes(b"x")
    assert set(repair(str(tmp_path / "out"), given, table=how)) == {"train/train-000001.tar", "val/val-000000.tar"}
    assert contents(tmp_path / "out") == before
    config = VerifyConfig(source=given, table=how)
    assert verify(tmp_path / "out", read_manifest(tmp_path / "out"), config) == []


def test_verify_tells_labels_that_the_listing_has_otherwise(pictures: Path, tmp_path: Path) -> None:
    given, how = csv_of(pictures, tmp_path), Table(base=str(pictures))
    pack(given, tmp_path / "out", replace(SMALL, table=how))
    rows = rows_of_kaggle(pictures)
    rows[0]["label"] = rows[-1]["label"]
    write_csv(given, rows[1:] + rows[:1])
    [problem] = verify(tmp_path / "out", read_manifest(tmp_path / "out"), VerifyConfig(source=given, table=how))
    assert "1 picture of another label" in problem


@pytest.mark.parametrize("name", ["csv", "parquet"])
def test_a_part_is_chosen_as_of_a_tree(name: str, pictures: Path, tmp_path: Path) -> None:
    given = MADE[name](pictures, tmp_path)
    wnids = tuple(sorted(path.name for path in (pictures / "ILSVRC/Data/CLS-LOC/train").iterdir()))[2:5]
    parts = {"classes": Selection(classes=wnids), "subset": Selection(subset=0.3), "limit": Selection(limit=17)}
    how = replace(base_of(pictures, name), class_list=str(pictures / "LOC_synset_mapping.txt"))
    for part, selection in parts.items():
        config = replace(WHOLE, selection=selection, expect="train=120,val=40,classes=10", table=how)
        pack(given, tmp_path / part, config)
        pack(pictures, tmp_path / f"tree-{part}", replace(config, table=Table()))
        assert shards_of(tmp_path / part) == shards_of(tmp_path / f"tree-{part}")
        (tmp_path / part / "train" / "train-000000.tar").unlink()
        assert repair(str(tmp_path / part), given, table=how) == ("train/train-000000.tar",)


@pytest.mark.parametrize("name", ["csv", "parquet"])
def test_other_counts_than_were_expected_are_told(name: str, pictures: Path, tmp_path: Path) -> None:
    given = MADE[name](pictures, tmp_path)
    with pytest.raises(TarnError, match=r"holds 120 of train in place of 121 .*Nothing was published"):
        pack(given, tmp_path / "out", replace(WHOLE, expect="train=121", table=base_of(pictures, name)))
    assert not (tmp_path / "out").exists()


def test_an_imagefolder_by_a_listing_has_its_keys(tmp_path: Path) -> None:
    tree = picture_tree(tmp_path / "tree")
    rows = [
        {"file_name": str(path.relative_to(tree)), "class": path.parent.name, "split": path.parts[-3]}
        for path in sorted(tree.rglob("*.jpg"), reverse=True)
    ]
    write_jsonl(tree / "metadata.jsonl", rows)
    pack(tree, tmp_path / "one", WHOLE)
    pack(tree / "metadata.jsonl", tmp_path / "two", WHOLE)
    assert shards_of(tmp_path / "one") == shards_of(tmp_path / "two")


@pytest.mark.parametrize("name", ["csv", "parquet"])
def test_damaged_pictures_are_skipped_and_named(name: str, pictures: Path, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    shutil.copytree(pictures, tree)
    bad = sorted(tree.rglob("*.JPEG"))[:2]
    bad[0].write_bytes(bad[0].read_bytes()[:300])
    bad[1].write_bytes(b"no picture")
    given, how = MADE[name](tree, tmp_path), base_of(tree, name)
    with pytest.raises(TarnError, match=r"2 unreadable pictures \("):
        pack(given, tmp_path / "out", replace(SMALL, table=how))
    pack(given, tmp_path / "out", replace(SMALL, bad="skip", table=how))
    manifest = read_manifest(tmp_path / "out")
    assert manifest.splits["train"].skipped == 2
    report = [json.loads(line) for line in (tmp_path / "out" / "train.bad-pictures.jsonl").read_text().splitlines()]
    assert {line["key"] for line in report} == {path.stem for path in bad}
    (tmp_path / "out" / "train.bad-pictures.jsonl").unlink()
    assert repair(str(tmp_path / "out"), given, table=how) == ("train.bad-pictures.jsonl",)
    assert verify(tmp_path / "out", manifest, VerifyConfig(source=given, table=how)) == []


def test_pack_tells_what_it_saw_and_a_kind_may_be_forced(
    pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given, hub = csv_of(pictures, tmp_path), hub_parquet(pictures, tmp_path / "hub")
    words = ["pack", str(given), str(tmp_path / "out"), "--split=val", "--workers=1", "--base", str(pictures)]
    assert main(words) == 0
    seen = f"source: a CSV listing (pictures in the column path, labels in label, splits in split), {given}\n"
    assert seen in capsys.readouterr().out
    assert look_at(hub).what == "parquet (6 files, pictures in the column image, labels in label)"
    text = tmp_path / "list.txt"
    given.rename(text)
    with pytest.raises(UsageError, match=r"is no zip, no folder, no parquet and no listing \(\.csv"):
        look_at(text)
    assert len(read_source(text, "val", "listing", Table(base=str(pictures))).splits["val"]) == 40
    with pytest.raises(TarnError, match="is no whole parquet"):
        look_at(text, "parquet")
    with pytest.raises(UsageError, match="holds no listing: give a file of it"):
        look_at(hub, "listing")
    with pytest.raises(UsageError, match=r"are of tables and shards, .* is none"):
        look_at(pictures, "auto", Table(keep=("x",)))


def test_files_of_a_folder_are_of_the_splits_that_they_are_called(pictures: Path, tmp_path: Path) -> None:
    rows = [{**row, "path": f"tree/{row['path']}"} for row in rows_of_kaggle(pictures)]
    (tmp_path / "tree").symlink_to(pictures)
    for split, name in (("train", "train.csv"), ("val", "validation.csv")):
        write_csv(tmp_path / name, [{"path": it["path"], "label": it["label"]} for it in rows if it["split"] == split])
    write_csv(tmp_path / "notes.csv", [{"a": 1}])
    for given, kind in ((tmp_path, "auto"), (tmp_path, "listing")):
        found = read_source(given, "all", kind)
        assert {split: len(its) for split, its in found.splits.items()} == {"train": 120, "val": 40}
        assert found.passed.counts == {"listings called like no split": 1}
    found = read_source(tmp_path / "validation.csv", "all")
    assert list(found.splits) == ["val"]
    with pytest.raises(TarnError, match="has no pictures of the split 'train'"):
        read_source(tmp_path / "validation.csv", "train")


def test_a_listing_that_tells_no_split_is_of_the_one_asked_for(pictures: Path, tmp_path: Path) -> None:
    rows = [{"path": it["path"], "label": it["label"]} for it in rows_of_kaggle(pictures)]
    given, how = write_csv(tmp_path / "list.csv", rows), Table(base=str(pictures))
    assert list(read_source(given, "all", "auto", how).splits) == ["train"]
    assert list(read_source(given, "val", "auto", how).splits) == ["val"]


def test_test_is_val_where_there_is_none(pictures: Path, tmp_path: Path) -> None:
    rows = [{**row, "split": row["split"].replace("val", "test")} for row in rows_of_kaggle(pictures)]
    given, how = write_csv(tmp_path / "list.csv", rows), Table(base=str(pictures))
    assert len(read_source(given, "all", "auto", how).splits["val"]) == 40
    rows[rows.index(next(row for row in rows if row["split"] == "test"))]["split"] = "valid"
    found = read_source(write_csv(given, rows), "all", "auto", how)
    assert len(found.splits["val"]) == 1
    assert found.passed.counts == {"test splits, beside val": 1}


@pytest.mark.skipif(not REAL_PICTURES.is_dir(), reason="the real photographs are not beside the checkout")
def test_real_photographs_too(tmp_path: Path) -> None:
    plain = PackConfig(split="val", shard_size=10**9, preparation=Preparation(tile=0, check="off"))
    pack(REAL_PICTURES, tmp_path / "tree", plain)
    for name in ("csv", "jsonl", "parquet"):
        given = MADE[name](REAL_PICTURES, tmp_path)
        pack(given, tmp_path / name, replace(plain, table=base_of(REAL_PICTURES, name)))
        assert shards_of(tmp_path / name) == shards_of(tmp_path / "tree")
