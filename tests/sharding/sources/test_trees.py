"""What of a tree is packed, and what is passed over, counted and named."""

import os
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from support.datasets import picture_tree
from tarn.sharding.__main__ import main
from tarn.sharding.errors import TarnError, UsageError
from tarn.sharding.format.manifest import read_manifest
from tarn.sharding.packing.pack import PackConfig, pack
from tarn.sharding.packing.preparation import Preparation
from tarn.sharding.pillow import MOST_BYTES
from tarn.sharding.sources import Source
from tarn.sharding.sources.find import read_source
from tarn.sharding.sources.place import File, below
from tarn.sharding.stats import stats
from tarn.sharding.verify import verify


def tree(root: Path, *names: str) -> Path:
    for number, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (20, 20), (number, 50, 90)).save(root / name)
    return root


def listed(found: Source, root: Path, split: str = "train") -> list[tuple[str, int]]:
    return sorted((below(picture.place, str(root)), picture.label) for picture in found.splits[split])


@pytest.mark.parametrize("name", [".ipynb_checkpoints", ".AppleDouble", "__MACOSX", "@eaDir", ".Trash"])
def test_hidden_folders_are_passed_over_and_named_at_every_depth(name: str, tmp_path: Path) -> None:
    packed = ("train/cat/a.jpg", "train/cat/more/b.jpg")
    root = tree(tmp_path, *packed, f"train/cat/{name}/a.jpg", f"train/cat/more/{name}/x/b.jpg", f"train/{name}/a.jpg")
    found = read_source(root, "all")
    assert listed(found, root) == [(path, 0) for path in packed]
    assert [info.name for info in found.classes] == ["cat"]
    assert found.passed.counts == {"hidden folders": 3}
    assert f"train/cat/{name}" in str(found.passed)


def test_what_else_lies_there_is_counted_by_ending(tmp_path: Path) -> None:
    root = tree(tmp_path, "train/cat/a.jpg", "train/b.jpg")
    for name in ("cat/._a.jpg", "cat/notes.txt", "cat/more.TXT", "cat/README", "cat/Thumbs.db", "cat/a.svg"):
        (root / "train" / name).write_bytes(b"x")
    assert read_source(root, "all").passed.counts == {
        "hidden files": 2,
        "files ending in .txt": 2,
        "files without an ending": 1,
        "files ending in .svg": 1,
        "pictures beside the class folders": 1,
    }


def test_a_link_that_leads_nowhere_is_told_among_the_problems(tmp_path: Path) -> None:
    root = tree(tmp_path, "train/cat/a.jpg")
    (root / "train" / "cat" / "gone.jpg").symlink_to(tmp_path / "nowhere.jpg")
    (root / "train" / "cat" / "round.jpg").symlink_to("round.jpg")
    (root / "train" / "cat" / "folder").symlink_to(tmp_path / "nowhere")
    (root / "train" / "dog").symlink_to(tmp_path / "nowhere")
    with pytest.raises(TarnError, match=r"4 links that lead nowhere \(.*dog.*folder.*gone\.jpg.*round\.jpg"):
        read_source(root, "all")


@pytest.mark.parametrize("target", [".", "..", "../..", "../../.."])
def test_a_link_to_a_folder_above_is_not_followed(target: str, tmp_path: Path) -> None:
    root = tree(tmp_path / "in", "train/cat/a.jpg", "train/dog/b.jpg")
    (root / "train" / "cat" / "round").symlink_to(target)
    found = read_source(root, "all")
    assert listed(found, root) == [("train/cat/a.jpg", 0), ("train/dog/b.jpg", 1)]
    assert found.passed.counts == {"links to a folder above": 1}


def test_a_link_to_a_folder_elsewhere_is_followed_once(tmp_path: Path) -> None:
    root = tree(tmp_path / "in", "train/cat/a.jpg", "train/dog/b.jpg")
    tree(tmp_path / "elsewhere", "c.jpg")
    (tmp_path / "elsewhere" / "itself").symlink_to(tmp_path / "elsewhere")
    for name, target in (("one", tmp_path / "elsewhere"), ("two", tmp_path / "elsewhere"), ("dogs", "../dog")):
        (root / "train" / "cat" / name).symlink_to(target)
    found = read_source(root, "all")
    expected = [("train/cat/a.jpg", 0), ("train/cat/one/c.jpg", 0), ("train/dog/b.jpg", 1)]
    assert listed(found, root) == expected
    assert found.passed.counts == {"links to a folder above": 1, "links to a folder that is read elsewhere": 2}


@pytest.mark.parametrize("name", ["valid", "validation", "Val", "test", "testing"])
def test_other_words_for_val_are_understood(name: str, tmp_path: Path) -> None:
    root = tree(tmp_path, "training/cat/a.jpg", f"{name}/cat/b.jpg")
    found = read_source(root, "all")
    assert listed(found, root, "val") == [(f"{name}/cat/b.jpg", 0)]
    assert listed(found, root) == [("training/cat/a.jpg", 0)]


def test_two_folders_of_one_split_are_refused_and_folders_of_none_told(tmp_path: Path) -> None:
    root = tree(tmp_path, "train/cat/a.jpg", "val/cat/b.jpg", "test/cat/c.jpg", "held_out/cat/d.jpg")
    told = str(read_source(root, "all").passed)
    assert "test pictures, beside those of val" in told
    assert "1 folder called like no split" in told
    assert "held_out" in told
    tree(tmp_path, "valid/cat/e.jpg")
    with pytest.raises(UsageError, match="val and valid, which all mean val"):
        read_source(root, "all")


def test_gif_and_avif_are_packed_and_pack_tells_what_it_passed_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tree(tmp_path / "in", "train/cat/a.gif", "train/cat/b.avif", "train/cat/c.jp2", "train/cat/d.png")
    (root / "train" / "cat" / "e.svg").write_text("<svg/>")
    assert main(["pack", str(root), str(tmp_path / "out"), "--workers=1"]) == 0
    out = capsys.readouterr().out
    assert " 4 pictures" in out
    assert "passed over: 1 file ending in .svg (" in out


@pytest.mark.parametrize("part", ["ILSVRC", "ILSVRC/Data", "ILSVRC/Data/CLS-LOC"])
def test_a_part_of_the_kaggle_download_names_the_folder_above(part: str, pictures: Path) -> None:
    with pytest.raises(UsageError, match=rf"give that folder, {pictures}, which"):
        read_source(pictures / part, "all")


def test_the_folder_above_the_kaggle_download_names_it(pictures: Path) -> None:
    with pytest.raises(UsageError, match=rf"one folder deeper: give {pictures}\."):
        read_source(pictures.parent, "all")


def test_one_split_of_a_tree_names_the_folder_above(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=rf"give the folder above, {tmp_path}"):
        read_source(tree(tmp_path, "train/cat/a.jpg") / "train", "all")


@pytest.mark.parametrize("name", ["x.tar", "train/x.tar"])
def test_tars_where_a_tree_was_said_to_be_are_told_to_be_packed_or_indexed(name: str, tmp_path: Path) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_bytes(bytes(1024))
    for given in (tmp_path, tmp_path / name):
        with pytest.raises(UsageError, match=r"by --source shards, or index them .*`python -m tarn\.sharding index"):
            read_source(given, "all", "folder")


def test_paths_may_begin_with_the_home_folder_and_be_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tree(tmp_path / "cwd", "train/cat/a.jpg"))
    pack("~/cwd", "~/one", PackConfig())
    pack(Path("~/cwd"), Path("~/two"), PackConfig())
    assert (tmp_path / "one" / "manifest.json").read_bytes() == (tmp_path / "two" / "manifest.json").read_bytes()
    assert not (tmp_path / "cwd" / "~").exists()
    assert verify(Path("~/two"), read_manifest(Path("~/two"))) == []
    assert "1 class" in stats(Path("~/two"), read_manifest(Path("~/two")))
    assert main(["verify", "~/one"]) == 0
    assert main(["stats", "~/one"]) == 0


def test_a_word_for_another_source_is_refused_by_what_it_is(pictures: Path) -> None:
    with pytest.raises(UsageError, match="is the Kaggle ILSVRC download, so it is no --source folder: leave"):
        read_source(pictures, "all", "folder")
    with pytest.raises(UsageError, match="is a folder, so it is no --source zip"):
        read_source(pictures, "all", "zip")


def test_what_to_do_about_class_folders_that_do_not_fit_is_told(tmp_path: Path) -> None:
    tree = picture_tree(tmp_path / "tree")
    (tree / "train" / "empty").mkdir()
    (tree / "val" / "new").mkdir()
    told = (
        r"1 class without pictures .*: take empty folders out, and take folders of no class of train out of the other"
    )
    with pytest.raises(TarnError, match=told):
        read_source(tree, "all")


def test_pipes_and_devices_called_like_pictures_are_told_before_they_are_opened(tmp_path: Path) -> None:
    root = tree(tmp_path, "train/cat/a.jpg")
    os.mkfifo(root / "train" / "cat" / "pipe.jpg")
    (root / "train" / "cat" / "zero.jpg").symlink_to("/dev/zero")
    with pytest.raises(TarnError, match=r"2 pictures that cannot be looked at \(\S+pipe.jpg: it is no regular file"):
        read_source(root, "all")


def test_a_file_that_became_a_device_is_not_read() -> None:
    with pytest.raises(OSError, match="it is no regular file"):
        File.at("/dev/null").read()


def test_a_picture_beyond_all_sizes_is_refused_before_it_is_read(tmp_path: Path) -> None:
    root = tree(tmp_path / "in", "train/cat/a.jpg", "train/cat/b.jpg")
    with (root / "train" / "cat" / "b.jpg").open("r+b") as file:
        file.truncate(MOST_BYTES + 1)
    plain = PackConfig(preparation=Preparation(tile=0, check="off"))
    with pytest.raises(TarnError, match=r"b.jpg: too large \(536,870,913 bytes, 536,870,912 at most\)"):
        pack(root, tmp_path / "out", plain)
    manifest, _ = pack(root, tmp_path / "out", replace(plain, bad="skip"))
    assert (manifest.split("train").samples, manifest.split("train").skipped) == (1, 1)


def test_folders_deeper_than_anybodys_are_told(tmp_path: Path) -> None:
    root = tree(tmp_path, "train/cat/a.jpg")
    (root / "train" / "cat" / "/".join("d" * 150)).mkdir(parents=True)
    with pytest.raises(TarnError, match="lies more than 100 folders deep: move its pictures up"):
        read_source(root, "all")


def test_a_name_in_a_zip_that_no_system_takes_is_passed_over(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as file:
        for name in ("train/cat/a.jpg", f"train/cat/{'d/' * 30_000}b.jpg", f"train/cat/{'x' * 5000}.jpg"):
            file.writestr(name, b"x")
    found = read_source(tmp_path / "x.zip", "all")
    assert [picture.key for picture in found.splits["train"]] == ["cat/a"]
    assert found.passed.counts == {"names in the zip that lead out of it, or are none": 2}


def test_a_class_whose_name_is_no_utf8_is_told(tmp_path: Path) -> None:
    root = tree(tmp_path, "train/cat/a.jpg")
    (root / "train" / "cat").rename(root / "train" / os.fsdecode(b"caf\xe9"))
    with pytest.raises(TarnError, match=r"has 1 classes whose names are no UTF-8 \('caf\\udce9'\): rename them"):
        read_source(root, "all")


def test_names_do_no_harm_to_a_terminal_whatever_it_takes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = tree(tmp_path / "in", "train/cat/a.jpg")
    for name in (b"clear\x1b[2J.txt", b"caf\xe9.txt"):
        (root / "train" / "cat" / os.fsdecode(name)).write_bytes(b"x")
    assert main(["pack", str(root), str(tmp_path / "out")]) == 0
    said = capsys.readouterr().out
    assert "clear\\x1b[2J.txt" in said
    assert "caf\\udce9.txt" in said
    assert "\x1b" not in said


def test_an_empty_name_is_not_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tree(tmp_path / "in", "train/cat/a.jpg")
    monkeypatch.chdir(root)
    before = set(root.rglob("*"))
    assert main(["pack", str(root), ""]) == 2
    assert main(["pack", "", str(tmp_path / "out")]) == 2
    assert set(root.rglob("*")) == before
    assert not (tmp_path / "out").exists()


def test_names_longer_than_a_system_takes_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = tree(tmp_path / "in", "train/cat/a.jpg")
    assert main(["pack", "x" * 300, str(tmp_path / "out")]) == 2
    assert main(["pack", str(root), str(tmp_path / ("x" * 300))]) == 1
    told = capsys.readouterr().err
    assert told.count("File name too long") == 2
