"""Pictures that cannot be read: the whole packing fails, or each is left out, named and counted."""

import json
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from support.datasets import contents, picture_tree
from tarn.sharding.__main__ import main
from tarn.sharding.errors import TarnError, UsageError
from tarn.sharding.format.manifest import parse_index, read_manifest
from tarn.sharding.packing.pack import PackConfig, pack
from tarn.sharding.packing.skipping import report_beside
from tarn.sharding.verify import verify

SKIP = PackConfig(shard_size=10_000, bad="skip")
BROKEN = ["train/class0/train3.jpg", "train/class1/train0.jpg", "val/class2/val1.jpg"]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    root = picture_tree(tmp_path / "source")
    for name in BROKEN:
        (root / name).write_bytes((root / name).read_bytes()[:200])
    return root


def test_the_whole_packing_fails_by_default(source: Path, tmp_path: Path) -> None:
    with pytest.raises(TarnError, match=r"3 unreadable pictures"):
        pack(source, str(tmp_path / "out"), replace(SKIP, bad="fail"))
    assert not (tmp_path / "out" / "manifest.json").exists()


def test_all_unreadable_pictures_are_named_in_a_report_and_ten_on_the_console(tmp_path: Path) -> None:
    source, out = picture_tree(tmp_path / "source"), tmp_path / "out"
    pictures = sorted((source / "train").rglob("*.jpg"))[:12]
    whole = {path: path.read_bytes() for path in pictures}
    for path, data in whole.items():
        path.write_bytes(data[:-40])
    config = replace(SKIP, bad="fail", workers=2)
    with pytest.raises(TarnError) as caught:
        pack(source, str(out), config)
    told = str(caught.value)
    assert f"12 unreadable pictures ({pictures[0]}: cut off before its end marker, {pictures[1]}: " in told
    assert f"{pictures[9]}: " in told
    assert f"{pictures[10]}: " not in told
    assert f" and 2 more): --bad skip leaves them out, and all are named in {out}.bad-pictures.jsonl." in told
    lines = [json.loads(line) for line in Path(f"{out}.bad-pictures.jsonl").read_text().splitlines()]
    assert [line["path"] for line in lines] == [str(path.relative_to(source)) for path in pictures]
    assert {line["problem"] for line in lines} == {"cut off before its end marker"}
    for path, data in whole.items():
        path.write_bytes(data)
    pack(source, str(out), config)
    assert not list(tmp_path.rglob("*.jsonl"))
    assert verify(str(out), read_manifest(str(out))) == []


def test_a_report_says_where_in_an_archive_a_picture_begins(source: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "source.zip", "w") as archive:
        for path in sorted(source.rglob("*.jpg")):
            archive.write(path, path.relative_to(source))
    pack(tmp_path / "source.zip", str(tmp_path / "out"), SKIP)
    (line,) = map(json.loads, (tmp_path / "out" / "val.bad-pictures.jsonl").read_text().splitlines())
    assert line["path"].endswith(BROKEN[2])
    member = (tmp_path / "source.zip").read_bytes()[line["offset"] :]
    assert (source / BROKEN[2]).read_bytes() in member[: 200 + 100]


def test_what_was_done_is_kept_when_the_unreadable_ones_are_to_be_skipped_after_all(
    source: Path, tmp_path: Path
) -> None:
    out, told = tmp_path / "out", list[str]()
    with pytest.raises(TarnError, match=r"3 unreadable pictures") as caught:
        pack(source, str(out), replace(SKIP, bad="fail"))
    (note,) = caught.value.__notes__
    assert note.endswith("shards are done, and kept: the same command goes on from there.")
    with pytest.raises(TarnError, match=r"3 unreadable pictures"):
        pack(source, str(out), replace(SKIP, bad="fail"), told.append)
    pack(source, str(out), SKIP, told.append)
    kept = note.split(",")[0]
    assert [line for line in told if line.startswith("going")] == [
        f"going on with an unfinished packing: {kept}, and kept"
    ] * 2
    pack(source, str(tmp_path / "alone"), SKIP)
    assert contents(out) == contents(tmp_path / "alone")


def test_each_skipped_picture_is_named_in_a_report_and_counted(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    words = ["pack", str(source), str(out), "--shard-size=10kB", "--workers=1", "--bad=skip"]
    assert main(words) == 0
    assert f"skipped as unreadable: 2, named in {out}/train.bad-pictures.jsonl" in capsys.readouterr().out
    lines = [json.loads(line) for path in sorted(out.glob("*.jsonl")) for line in path.read_text().splitlines()]
    assert sorted(line["path"] for line in lines) == BROKEN
    assert all(line["problem"] and line["key"] and line["split"] == line["path"].split("/")[0] for line in lines)
    manifest = read_manifest(str(out))
    assert {name: (split.samples, split.skipped) for name, split in manifest.splits.items()} == {
        "train": (22, 2),
        "val": (5, 1),
    }
    for shard in manifest.split("train").shards:
        assert len(parse_index((out / shard.index_name).read_bytes(), "")) == shard.samples
    assert main(["verify", str(out)]) == 0
    assert "train 22, 2 skipped" in capsys.readouterr().out
    assert main(["stats", str(out)]) == 0
    assert "2 pictures of the source were skipped as unreadable" in capsys.readouterr().out
    assert main(words) == 0
    assert "up to date" in capsys.readouterr().out
    with pytest.raises(UsageError, match=r"another --bad \(it left out unreadable pictures\): choose another"):
        pack(source, str(out), replace(SKIP, bad="fail"))


def test_any_number_of_workers_skips_alike_and_moves_no_other_picture(source: Path, tmp_path: Path) -> None:
    for workers in (1, 2):
        pack(source, str(tmp_path / str(workers)), replace(SKIP, workers=workers))
    assert contents(tmp_path / "1") == contents(tmp_path / "2")


def test_without_unreadable_pictures_the_bytes_are_those_of_the_default(tmp_path: Path) -> None:
    source = picture_tree(tmp_path / "sound")
    for name in ("skip", "fail"):
        pack(source, str(tmp_path / name), replace(SKIP, bad=name))
    assert contents(tmp_path / "skip") == contents(tmp_path / "fail")


def test_a_shard_of_which_nothing_is_left_is_not_written(source: Path, tmp_path: Path) -> None:
    manifest, _ = pack(source, str(tmp_path / "out"), replace(SKIP, shard_size=1))
    assert len(manifest.split("train").shards) == 22
    assert all(shard.samples == 1 for shard in manifest.split("train").shards)
    assert verify(str(tmp_path / "out"), manifest) == []


def test_a_split_of_which_nothing_is_left_is_refused(tmp_path: Path) -> None:
    source = picture_tree(tmp_path / "source")
    for path in (source / "val").rglob("*.jpg"):
        path.write_bytes(b"<html>")
    with pytest.raises(TarnError, match=r"no picture of the split 'val' is readable"):
        pack(source, str(tmp_path / "out"), SKIP)
    assert not (tmp_path / "out" / "manifest.json").exists()


def test_a_disk_that_fails_is_no_bad_picture(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(path: Path) -> bytes:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("tarn.sharding.sources.place.read_file", failing)
    with pytest.raises(TarnError, match=r"30 unreadable pictures .*Input/output error"):
        pack(source, str(tmp_path / "out"), SKIP)


def test_verify_misses_the_report(source: Path, tmp_path: Path) -> None:
    manifest, _ = pack(source, str(tmp_path / "out"), SKIP)
    report = tmp_path / "out" / "val.bad-pictures.jsonl"
    report.write_text("")
    (told,) = verify(str(tmp_path / "out"), manifest)
    assert "val.bad-pictures.jsonl is not the report of the 1 skipped pictures" in told
    report.unlink()
    (told,) = verify(str(tmp_path / "out"), manifest)
    assert "val.bad-pictures.jsonl" in told


def test_a_word_for_bad_pictures_that_is_none_is_refused() -> None:
    with pytest.raises(UsageError, match=r"--bad='ignore' is unknown: choose one of fail, skip"):
        PackConfig(bad="ignore")


def test_a_report_lies_beside_the_output_and_in_a_bucket_that_is_all_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert report_beside("out/") == f"{tmp_path}/out.bad-pictures.jsonl"
    assert report_beside(".") == f"{tmp_path}.bad-pictures.jsonl"
    assert report_beside("s3://bucket/imagenet/") == "s3://bucket/imagenet.bad-pictures.jsonl"
    assert report_beside("s3://bucket/") == "s3://bucket/bad-pictures.jsonl"
