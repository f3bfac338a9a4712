"""Where manifest and indexes go, and what is never replaced."""

import re
from pathlib import Path

import pytest

from support.foreign_checks import contents, pictures_by_index, refused
from support.foreign_tars import SYNSETS, dataset, samples, write
from tarn.sharding.__main__ import main
from tarn.sharding.errors import TarnError
from tarn.sharding.foreign.index import IndexConfig, index
from tarn.sharding.format.manifest import Manifest, read_manifest
from tarn.sharding.stats import stats
from tarn.sharding.verify import verify


def test_a_source_that_is_only_read_gets_index_and_manifest_elsewhere(tmp_path: Path) -> None:
    root, out = dataset(tmp_path / "in"), tmp_path / "out"
    before = {path: path.stat().st_mtime_ns for path in (root, *root.iterdir())}
    root.chmod(0o555)
    done = index(str(root), IndexConfig(out=str(out)))
    assert {path: path.stat().st_mtime_ns for path in (root, *root.iterdir())} == before
    manifest = read_manifest(str(out))
    assert manifest == done.manifest
    assert manifest.data_root == manifest.shards_root(str(out)) == str(root)
    indexes = [*(f"my-train-000{n}.idx" for n in range(3)), "my-val-0000.idx"]
    assert sorted(contents(out)) == ["manifest.json", *indexes, "train.indexes", "val.indexes"]
    assert [key for key, *_ in pictures_by_index(done)["train"]] == list(samples(range(25)))
    assert verify(str(out), manifest) == []
    assert "train: 25 pictures in 3 shards" in stats(str(out), manifest)
    assert index(str(root), IndexConfig(out=str(out))).fresh is False
    root.chmod(0o755)


def test_a_folder_that_cannot_be_written_is_refused_before_the_tars_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = dataset(tmp_path / "in")
    (root / "my-train-0000.tar").write_bytes(b"damaged")
    monkeypatch.setattr("os.access", lambda path, mode: False)  # for root, every folder can be written
    refused(root, r"in cannot be written: give another folder .* by --out FOLDER")


def test_an_out_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    refused(dataset(tmp_path / "in"), r"file cannot be written: give another folder", out=str(tmp_path / "file" / "x"))


def test_an_out_that_is_the_folder_of_the_tars_is_no_other_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = dataset(tmp_path / "in")
    monkeypatch.chdir(tmp_path)
    assert index("in", IndexConfig(out=f"{root}/")).manifest.data_root is None
    assert index("./in/", IndexConfig(out="in")).fresh is False


def test_indexing_again_is_up_to_date_until_something_changed(tmp_path: Path) -> None:
    root = dataset(tmp_path / "in")
    (tmp_path / "names.txt").write_text(SYNSETS)
    assert index(str(root), IndexConfig()).fresh
    before = contents(root)
    again = index(str(root), IndexConfig())
    assert not again.fresh
    assert again.manifest == read_manifest(str(root))
    refused(root, r"was indexed before, but with other --classes: give --overwrite", classes=tmp_path / "names.txt")
    index(str(root), IndexConfig(overwrite=True))
    assert contents(root) == before
    write(root / "my-train-0000.tar", samples(range(50, 52)))
    refused(root, r"my-train-0000.tar was \d+ bytes then and is 10240 bytes now")
    (root / "my-train-0000.tar").unlink()
    refused(root, r"my-train-0000.tar was \d+ bytes then and is not there now")
    assert index(str(root), IndexConfig(overwrite=True)).manifest.split("train").samples == 15
    assert not (root / "my-train-0000.idx").exists()
    (root / "my-train-0001.idx").unlink()
    refused(root, r"my-train-0001.idx is not there: give --overwrite")
    write(root / "my-test-0.tar", samples([1]))
    refused(root, r"its splits were train, val, now they are test, train, val")


def test_a_failed_indexing_leaves_the_earlier_one_as_it_was(tmp_path: Path) -> None:
    root = dataset(tmp_path / "in")
    index(str(root), IndexConfig())
    path = root / "my-val-0000.tar"
    path.write_bytes(path.read_bytes()[:-9999])
    refused(root, r"1 damaged tar \(my-val-0000.tar", overwrite=True)


def test_a_manifest_of_another_program_is_not_replaced(tmp_path: Path) -> None:
    root = dataset(tmp_path / "in")
    (root / "manifest.json").write_text("{}")
    for overwrite in (False, True):
        refused(root, r"manifest.json is in the way.*--out FOLDER", overwrite=overwrite)
    index(str(root), IndexConfig(out=str(tmp_path / "out")))


def test_an_index_of_another_program_stays_beside_ours(tmp_path: Path) -> None:
    root, other = dataset(tmp_path / "in"), "v1.2 10\njpg 1536 100 0\n"
    (root / "my-train-0000.idx").write_text(other)
    for overwrite in (False, False, True):
        done = index(str(root), IndexConfig(overwrite=overwrite))
        names = [shard.index_name for shard in done.manifest.split("train").shards]
        assert names == ["my-train-0000.idx2", "my-train-0001.idx", "my-train-0002.idx"]
        assert len(pictures_by_index(done)["train"]) == 25
    assert (root / "my-train-0000.idx").read_text() == other


def test_a_manifest_without_a_data_root_is_written_as_before_and_a_wrong_one_is_refused(shards: Path) -> None:
    raw = (shards / "manifest.json").read_text()
    manifest = read_manifest(str(shards))
    assert manifest.to_json() == raw
    assert "data_root" not in raw
    elsewhere = Manifest(manifest.classes, manifest.splits, "s3://bucket/tars")
    assert Manifest.from_json(elsewhere.to_json(), "x") == elsewhere
    assert elsewhere.shards_root("here") == "s3://bucket/tars"
    assert elsewhere.fingerprint("train") == manifest.fingerprint("train")
    with pytest.raises(TarnError, match=r"data_root is 5"):
        Manifest.from_json(elsewhere.to_json().replace('"s3://bucket/tars"', "5"), "x")


def test_the_command_tells_what_it_did(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = dataset(tmp_path / "in")
    (tmp_path / "names.txt").write_text(SYNSETS)
    words = ["index", str(root), "--out", str(tmp_path / "out"), "--workers=2", f"--classes={tmp_path / 'names.txt'}"]
    assert main(words) == 0
    assert re.search(r"train: 25 pictures, 3 tars, [\d,]+ bytes, indexed in", capsys.readouterr().out)
    assert main([*words, "--split=train=my-train*", "--split=val=my-val*"]) == 0
    assert "up to date" in capsys.readouterr().out
    for command in ("verify", "stats"):
        assert main([command, str(tmp_path / "out")]) == 0
    capsys.readouterr()
    assert main(["index", str(tmp_path / "nowhere")]) == 2
    assert capsys.readouterr().err.startswith("error: ")


def test_paths_may_begin_with_the_home_folder_and_be_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    tars = dataset(tmp_path / "tars")
    done = index(Path("~/tars"), IndexConfig(out=Path("~/out")))
    assert done.manifest.data_root == str(tars)
    assert (tmp_path / "out" / "manifest.json").is_file()
    assert not (tmp_path / "~").exists()
