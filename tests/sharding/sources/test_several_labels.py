"""Samples with a third member, the .json of several labels and kept fields: whoever reads shards reads these."""

import json
import tarfile
import warnings
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from support.datasets import contents
from support.tables import write_csv, write_jsonl, write_parquet
from tarn.sharding.__main__ import main
from tarn.sharding.errors import TarnError, UsageError
from tarn.sharding.format.manifest import read_manifest
from tarn.sharding.packing.pack import PackConfig, pack
from tarn.sharding.sources.find import read_source
from tarn.sharding.sources.selection import Selection
from tarn.sharding.sources.table import Table
from tarn.sharding.verify import VerifyConfig, verify
from tarn.training.streaming import ShardLoader

with warnings.catch_warnings(action="ignore"):
    import webdataset

SMALL = PackConfig(shard_size=20_000)
KEPT = Table(keep=("id", "by"))


@pytest.fixture
def rows(tmp_path: Path) -> list[dict[str, Any]]:
    """Forty pictures of one to three of five classes, and what else is known of them."""
    rng = np.random.default_rng(3)
    found = []
    for number in range(40):
        Image.fromarray(rng.integers(0, 255, (24, 32, 3), np.uint8)).save(tmp_path / f"p{number:02}.jpg")
        labels = sorted({number % 5, *rng.integers(0, 5, number % 3).tolist()}, key=lambda it: (it != number % 5, it))
        found.append({"file": f"p{number:02}.jpg", "labels": labels, "id": number, "by": None if number % 4 else "é"})
    return found


@pytest.fixture
def packed(rows: list[dict[str, Any]], tmp_path: Path) -> Path:
    pack(write_jsonl(tmp_path / "x.jsonl", rows), tmp_path / "out", PackConfig(shard_size=20_000, table=KEPT))
    return tmp_path / "out"


def members(root: Path) -> dict[str, dict[str, bytes]]:
    found: dict[str, dict[str, bytes]] = {}
    for path in root.glob("*/*.tar"):
        with tarfile.open(path) as tar:
            for member in tar:
                key, _, ending = member.name.partition(".")
                found.setdefault(key, {})[ending] = tar.extractfile(member).read()  # type: ignore[union-attr]
    return found


def test_the_first_label_is_the_cls_and_all_are_in_the_json(rows: list[dict[str, Any]], packed: Path) -> None:
    found = members(packed)
    assert len(found) == 40
    for row in rows:
        sample = found[row["file"].removesuffix(".jpg")]
        assert list(sample) == ["cls", "json", "jpg"]
        assert sample["cls"] == str(row["labels"][0]).encode()
        assert json.loads(sample["json"]) == {"labels": row["labels"], "id": row["id"], "by": row["by"]}
    assert sum(split.bytes for split in read_manifest(packed).splits.values()) > 0
    assert all(shard.bytes <= 20_000 + 20 * 512 for shard in read_manifest(packed).splits["train"].shards)


def test_a_csv_tells_several_between_semicolons_or_as_json(
    rows: list[dict[str, Any]], packed: Path, tmp_path: Path
) -> None:
    as_text = [
        {**row, "labels": json.dumps(row["labels"]) if row["id"] % 2 else ";".join(map(str, row["labels"]))}
        for row in rows
    ]
    given = write_csv(tmp_path / "x.csv", [{"file": row["file"], "labels": row["labels"]} for row in as_text])
    pack(given, tmp_path / "csv", SMALL)
    for key, sample in members(tmp_path / "csv").items():
        assert json.loads(sample["json"]) == {"labels": json.loads(members(packed)[key]["json"])["labels"]}


def test_a_parquet_too(rows: list[dict[str, Any]], packed: Path, tmp_path: Path) -> None:
    told = [
        {"image": {"bytes": (tmp_path / row["file"]).read_bytes(), "path": row["file"]}, **row, "extra": [1.5, None]}
        for row in rows
    ]
    given = write_parquet(tmp_path / "x.parquet", [{k: v for k, v in row.items() if k != "file"} for row in told], None)
    pack(given, tmp_path / "parquet", PackConfig(table=KEPT))
    assert members(tmp_path / "parquet") == members(packed)


def test_every_reader_of_ours_reads_them(
    rows: list[dict[str, Any]], packed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = tmp_path / "x.jsonl"
    manifest = read_manifest(packed)
    assert verify(packed, manifest, VerifyConfig(decode=True, source=given)) == []
    assert main(["show", str(packed), "p07"]) == 0
    labels = rows[7]["labels"]
    assert f'json     {{"labels": {labels}, "id": 7, "by": null}}\n' in capsys.readouterr().out
    assert main(["extract", str(packed), str(tmp_path / "tree")]) == 0
    assert len(list((tmp_path / "tree").rglob("*.jpg"))) == 40
    assert main(["stats", str(packed)]) == 0
    assert main(["describe", str(packed), "--dali-index", "--energon", "--croissant", "--info"]) == 0
    assert "jpg" in (packed / "train/train-000000.dali-idx").read_text().splitlines()[1]
    assert main(["diff", str(packed), str(packed)]) == 0
    assert main(["index", str(packed / "train"), "--out", str(tmp_path / "idx"), "--split=train=*.tar"]) == 0
    assert main(["verify", str(tmp_path / "idx")]) == 0
    assert main(["verify", str(packed)]) == 0
    before = contents(packed)
    next(packed.glob("train/*1.tar")).unlink()
    assert main(["repair", str(packed), str(given)]) == 0
    assert contents(packed) == before


def test_the_webdataset_library_and_the_loader_read_them(rows: list[dict[str, Any]], packed: Path) -> None:
    tars = [str(path) for path in sorted(packed.glob("train/*.tar"))]
    with warnings.catch_warnings(action="ignore"):
        read = list(webdataset.WebDataset(tars, shardshuffle=False))
    found = {json.loads(each["json"])["id"]: (int(each["cls"]), json.loads(each["json"])["labels"]) for each in read}
    assert found == {row["id"]: (row["labels"][0], row["labels"]) for row in rows}
    assert all(each["jpg"][:2] == b"\xff\xd8" for each in read)
    with closing(ShardLoader(str(packed), global_batch=8, image_size=16)) as loader:
        labels = np.concatenate([batch.labels.numpy() for batch in loader])
    assert np.bincount(labels).tolist() == [8] * 5


def test_chosen_classes_are_numbered_anew_in_the_json_too(rows: list[dict[str, Any]], tmp_path: Path) -> None:
    given = write_jsonl(tmp_path / "x.jsonl", rows)
    found = read_source(given, "all").splits["train"]
    pack(given, tmp_path / "part", PackConfig(selection=Selection(classes=("2", "4"))))
    numbers = {2: 0, 4: 1}
    wanted = {
        it.key: [numbers[label] for label in it.beside.labels if label in numbers]
        for it in found
        if it.beside is not None and it.beside.labels is not None and it.label in numbers
    }
    there = {key: json.loads(sample["json"])["labels"] for key, sample in members(tmp_path / "part").items()}
    assert there == wanted
    assert any(len(labels) == 2 for labels in there.values())


def test_other_fields_are_another_packing(rows: list[dict[str, Any]], packed: Path, tmp_path: Path) -> None:
    rows[3]["id"] = 99
    given = write_jsonl(tmp_path / "x.jsonl", rows)
    with pytest.raises(UsageError, match="packed with another list of pictures"):
        pack(given, packed, PackConfig(shard_size=20_000, table=KEPT))
    with pytest.raises(UsageError, match=r"packed with another .*table"):
        pack(given, packed, SMALL)


def test_columns_may_be_chosen_and_are_remembered(rows: list[dict[str, Any]], tmp_path: Path) -> None:
    told = [{"Where": row["file"], "what": row["labels"][0], "tags": "x", "name": f"k{row['id']}"} for row in rows]
    given = write_csv(tmp_path / "x.csv", told)
    words = ["--column=picture=where", "--column=label=what", "--column=key=name", "--keep=all", "--workers=1"]
    assert main(["pack", str(given), str(tmp_path / "out"), *words]) == 0
    found = members(tmp_path / "out")
    assert sorted(found) == sorted(f"k{row['id']}" for row in rows)
    assert json.loads(found["k3"]["json"]) == {"tags": "x"}
    (tmp_path / "out/train/train-000000.tar").unlink()
    assert main(["repair", str(tmp_path / "out"), str(given)]) == 0
    assert main(["verify", str(tmp_path / "out"), "--source", str(given)]) == 0


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--column=picture=nowhere"], "--column=picture=nowhere: {} has no such column, but file, labels, id, by."),
        (["--column=foo=file"], "--column=foo=file is not understood: write WHAT=NAME once for each of picture, label"),
        (["--column=label=id", "--column=labels=id"], "a picture has one label, or several"),
        (["--keep=nothing"], "--keep=nothing: {} has no such column"),
        (["--keep=labels"], "labels in the .json are class numbers, so no column labels is kept: rename it"),
        (["--class-list=/nowhere"], "--class-list=/nowhere cannot be read"),
    ],
)
def test_a_choice_that_does_not_fit_is_one_sentence(
    words: list[str], told: str, rows: list[dict[str, Any]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = write_jsonl(tmp_path / "x.jsonl", rows)
    assert main(["pack", str(given), str(tmp_path / "out"), *words]) == 2
    assert told.format(given) in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_packed_anew_they_keep_their_json(packed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told: list[str] = []
    pack(packed, tmp_path / "large", PackConfig(), told.append)
    assert not any("stays behind" in line for line in told)
    pack(tmp_path / "x.jsonl", tmp_path / "alone", PackConfig(table=KEPT))
    assert members(tmp_path / "large") == members(packed)
    name = "train/train-000000.tar"
    assert (tmp_path / "large" / name).read_bytes() == (tmp_path / "alone" / name).read_bytes()
    assert verify(tmp_path / "large", read_manifest(tmp_path / "large"), VerifyConfig(source=packed)) == []
    assert main(["diff", str(packed), str(tmp_path / "large")]) == 1
    assert capsys.readouterr().out.startswith("train: the same samples in the same order, in other tars\n")


def test_a_part_of_a_packed_dataset_is_numbered_anew_in_the_json_too(packed: Path, tmp_path: Path) -> None:
    chosen = Selection(classes=("2", "4"))
    pack(packed, tmp_path / "part", PackConfig(selection=chosen))
    pack(tmp_path / "x.jsonl", tmp_path / "of the listing", PackConfig(selection=chosen, table=KEPT))
    assert members(tmp_path / "part") == members(tmp_path / "of the listing")


def test_another_json_is_a_difference_and_a_damaged_one_is_told(
    rows: list[dict[str, Any]], packed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows[7]["id"] = 99
    pack(write_jsonl(tmp_path / "z.jsonl", rows), tmp_path / "other", PackConfig(shard_size=20_000, table=KEPT))
    assert main(["diff", str(packed), str(tmp_path / "other")]) == 1
    assert "train: 1 of other members beside the picture (p07)\n" in capsys.readouterr().out
    tar = packed / "train" / "train-000000.tar"
    tar.write_bytes(tar.read_bytes().replace(b'{"labels"', b'["labels"', 1))
    with pytest.raises(
        TarnError, match=r"1 sample whose \.json no packing here has written \(train/train-000000\.tar: p"
    ):
        pack(packed, tmp_path / "anew", SMALL)


def test_letters_of_a_json_are_shown_as_they_are(packed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", str(packed), "p08"]) == 0
    assert '"id": 8, "by": "é"}\n' in capsys.readouterr().out
