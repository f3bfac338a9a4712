"""Zips, tars and lists with something wrong in them: an error that says what, or a skip that is counted and named; and
nothing is written but below the output."""

import shutil
import stat
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from support.datasets import contents, picture_tree
from support.downloads import (
    PICTURES,
    add,
    add_strangers,
    claiming_two_gigabytes,
    devkit,
    ilsvrc_tars,
    meta_mat,
    zipped,
)
from support.zips import changed
from tarn.sharding.__main__ import main
from tarn.sharding.errors import TarnError
from tarn.sharding.sources.devkit import KIT, META, PACKED, TRUTH
from tarn.sharding.sources.find import read_source
from tarn.sharding.sources.ilsvrc import TRAIN, VAL
from tarn.sharding.sources.kaggle import SOLUTION, SYNSETS


@pytest.fixture(scope="module")
def whole_zip(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return zipped(pictures, tmp_path_factory.mktemp("whole") / "x.zip")


@pytest.fixture(scope="module")
def whole_tars(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ilsvrc_tars(pictures, tmp_path_factory.mktemp("whole") / "tars")


@pytest.fixture
def given(whole_zip: Path, tmp_path: Path) -> Path:
    """A zip of one's own."""
    (tmp_path / "in").mkdir()
    return Path(shutil.copy(whole_zip, tmp_path / "in"))


@pytest.fixture
def tars(whole_tars: Path, tmp_path: Path) -> Path:
    return shutil.copytree(whole_tars, tmp_path / "in")


Packing = Callable[..., tuple[int, str, str]]


@pytest.fixture
def packing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Packing:
    """Exit code, output and errors; nothing was written beside the output but a report, and nothing into it where
    it failed."""

    def run(source: Path, *words: str) -> tuple[int, str, str]:
        before = contents(tmp_path / "in")
        code = main(["pack", str(source), str(tmp_path / "out"), "--split=val", "--workers=1", "--no-tile", *words])
        told = capsys.readouterr()
        assert contents(tmp_path / "in") == before
        assert {path.name for path in tmp_path.iterdir()} <= {"in", "out", "out.bad-pictures.jsonl"}
        assert not code or not (tmp_path / "out").exists() or contents(tmp_path / "out") == {}
        return code, told.out, told.err

    return run


def name_of(number: int) -> str:
    return f"{PICTURES}/val/ILSVRC2012_val_{number:08d}.JPEG"


def with_text(tree: Path, path: Path, name: str, text: bytes | None) -> Path:
    """The zip of a tree in which one list is another, or is not there."""
    with zipfile.ZipFile(path, "w") as out:
        for file in sorted(file for file in tree.rglob("*") if file.is_file()):
            if file.name != name:
                out.write(file, file.relative_to(tree))
        if text is not None:
            out.writestr(name, text)
    return path


@pytest.mark.parametrize("name", ["../evil.JPEG", "/etc/evil.JPEG", "C:/evil.JPEG", "a\\..\\evil.JPEG", "val//e.JPEG"])
def test_names_that_lead_out_of_a_zip_are_passed_over(name: str, given: Path, packing: Packing) -> None:
    with zipfile.ZipFile(given, "a") as out:
        member = zipfile.ZipInfo("x")
        member.filename = name
        out.writestr(member, b"evil")
    code, told, _ = packing(given)
    assert code == 0
    assert "passed over: 1 name in the zip that leads out of it, or is none (" in told
    assert "val: 40 pictures" in told


def test_links_devices_and_pipes_in_a_zip_are_passed_over(given: Path, packing: Packing) -> None:
    with zipfile.ZipFile(given, "a") as out:
        for number, kind in enumerate((stat.S_IFLNK, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFIFO, stat.S_IFSOCK), 95):
            member = zipfile.ZipInfo(name_of(number))
            member.create_system, member.external_attr = 3, (kind | 0o777) << 16
            out.writestr(member, "/etc/passwd")
    code, told, _ = packing(given)
    assert code == 0
    assert "5 links and devices in the zip (" in told
    assert "val: 40 pictures" in told


def test_a_zip64_is_packed_as_any_zip(
    pictures: Path, tmp_path: Path, packing: Packing, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "in").mkdir()
    with monkeypatch.context() as patched:
        patched.setattr(zipfile, "ZIP64_LIMIT", 1000)
        patched.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 10)
        source = zipped(pictures, tmp_path / "in" / "x.zip")
    assert b"PK\6\6" in source.read_bytes()[-200:]
    code, told, _ = packing(source, "--split=all")
    assert code == 0
    assert "train: 120 pictures" in told


def test_a_member_that_claims_two_gigabytes_is_not_read(given: Path) -> None:
    changed(given, name_of(3), method=8, size=2 * 10**9)
    found = {picture.key: picture.place for picture in read_source(given, "val").splits["val"]}
    with pytest.raises(TarnError, match=r"_00000003\.JPEG: it claims 2,000,000,000 bytes, at most"):
        found["ILSVRC2012_val_00000003"].read()


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_that_stands_twice_is_refused(given: Path, packing: Packing) -> None:
    with zipfile.ZipFile(given, "a") as out:
        out.writestr(name_of(1), b"other")
    code, _, error = packing(given)
    assert code == 1
    assert f"1 name that stands in it twice ({name_of(1)})" in error


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"flags": 1}, "encrypted: unzip it, or zip it anew without a password"),
        ({"method": 9}, "compressed by Deflate64: zip it anew, stored or deflated"),
        ({"method": 14}, "compressed by LZMA"),
        ({"method": 77}, "compressed by method 77"),
        ({"size": 5}, "stored with two sizes"),
    ],
)
def test_what_cannot_be_read_in_a_zip_is_told_before_packing(
    fields: dict[str, int], words: str, given: Path, packing: Packing
) -> None:
    code, _, error = packing(changed(given, name_of(3), **fields))
    assert code == 1
    assert f"1 member {words}" in error
    assert name_of(3) in error


def test_a_damaged_member_is_an_unreadable_picture(given: Path, tmp_path: Path, packing: Packing) -> None:
    changed(given, name_of(3), crc=1)
    code, _, error = packing(given)
    assert code == 1
    assert f"1 unreadable picture ({given}/{name_of(3)}: its bytes do not have the CRC-32 that the zip tells)" in error
    code, told, _ = packing(given, "--bad=skip")
    assert code == 0
    assert "skipped as unreadable: 1" in told
    assert f'"path": "{name_of(3)}"' in (tmp_path / "out" / "val.bad-pictures.jsonl").read_text()


def test_a_cut_zip_a_text_and_nothing_are_no_zips(given: Path, packing: Packing) -> None:
    given.write_bytes(given.read_bytes()[:-30])
    assert packing(given)[0] == 1
    given.write_text("no zip")
    assert "there is no directory at its end: cut short, or no zip" in packing(given)[2]
    given.unlink()
    code, _, error = packing(given)
    assert code == 2
    assert "is not there: give a folder of pictures, a zip, ILSVRC's tars, parquet, a listing, or shards" in error


def test_an_empty_zip_and_one_of_other_things_are_told(given: Path, packing: Packing) -> None:
    with zipfile.ZipFile(given, "w"):
        pass
    assert "is neither a Kaggle ILSVRC tree" in packing(given)[2]
    with zipfile.ZipFile(given, "w") as out:
        out.writestr("n01440764/a.JPEG", b"x")
        out.writestr("n01443537/a.JPEG", b"x")
    assert "it holds class folders itself" in packing(given)[2]


def test_lists_with_other_line_ends_and_a_byte_order_mark_are_read(
    pictures: Path, tmp_path: Path, packing: Packing
) -> None:
    (tmp_path / "in").mkdir()
    tree = shutil.copytree(pictures, tmp_path / "in" / "tree")
    for name, end in ((SOLUTION, b"\r\n"), (SYNSETS, b"\r")):
        (tree / name).write_bytes(b"\xef\xbb\xbf" + (tree / name).read_bytes().replace(b"\n", end))
    code, told, _ = packing(zipped(tree, tmp_path / "in" / "x.zip"))
    assert code == 0
    assert "val: 40 pictures" in told


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        (SOLUTION, lambda text: text.replace("ImageId,", "Id,"), "expected the header ImageId,PredictionString"),
        (SOLUTION, lambda text: "", "expected the header"),
        (SOLUTION, lambda text: None, f"{SOLUTION} cannot be read"),
        (SOLUTION, lambda text: text.rsplit("\n", 2)[0], f"1 val picture without a row in {SOLUTION}"),
        (SOLUTION, lambda text: f"{text}ILSVRC2012_val_00000099,n00000001 1 1 1 1\n", "unknown to LOC_synset_mapping"),
        (SOLUTION, lambda text: text + text.split("\n")[1] + "\n", f"1 row given twice in {SOLUTION}"),
        (SOLUTION, lambda text: text.replace(" ", ",", 1), "that is not `wnid x y x y` repeated"),
        (SOLUTION, lambda text: text.replace("\n", "\0\n", 1), SOLUTION),
        (SYNSETS, lambda text: None, f"{SYNSETS} cannot be read"),
        (SYNSETS, lambda text: text + text.split("\n")[0] + "\n", "1 wnid listed twice"),
        (SYNSETS, lambda text: "\n\n", "1 list without a line `wnid name`"),
        (SYNSETS, lambda text: text.split("\n", 1)[1], f"unknown to {SYNSETS}"),
    ],
)
def test_lists_in_a_zip_that_do_not_fit_are_told(
    name: str, change: Callable[[str], str | None], words: str, pictures: Path, tmp_path: Path, packing: Packing
) -> None:
    (tmp_path / "in").mkdir()
    text = change((pictures / name).read_text())
    source = with_text(pictures, tmp_path / "in" / "x.zip", name, text.encode() if text is not None else None)
    code, _, error = packing(source)
    assert code == 1
    assert words in error


def test_a_list_that_is_no_text_is_told(pictures: Path, tmp_path: Path, packing: Packing) -> None:
    (tmp_path / "in").mkdir()
    text = (pictures / SOLUTION).read_text()
    code, _, error = packing(with_text(pictures, tmp_path / "in" / "x.zip", SOLUTION, text.encode("utf-16")))
    assert code == 1
    assert "cannot be read ('utf-8' codec can't decode" in error


def test_an_empty_class_in_a_zip_is_told_as_in_a_tree(tmp_path: Path, packing: Packing) -> None:
    tree = picture_tree(tmp_path / "in" / "tree")
    (tree / "train" / "empty").mkdir()
    for source in (tree, zipped(tree, tmp_path / "in" / "x.zip")):
        code, _, error = packing(source, "--split=all")
        assert code == 1
        assert "1 class without pictures" in error


def test_names_in_a_tar_that_lead_out_links_and_devices_are_passed_over(tars: Path, packing: Packing) -> None:
    with tarfile.open(tars / VAL, "a") as out:
        for name in ("../evil.JPEG", "/etc/evil.JPEG"):
            add(out, name, b"evil")
        add_strangers(out, ("link.JPEG", "device.JPEG"))
        add(out, "._ILSVRC2012_val_00000001.JPEG", b"fork")
    code, told, _ = packing(tars)
    assert code == 0
    assert "2 names in a tar that lead out of it, or are none (../evil.JPEG, /etc/evil.JPEG)" in told
    assert "2 links and devices in a tar (device.JPEG, link.JPEG)" in told
    assert "1 hidden file" in told


def test_a_member_of_a_tar_that_claims_two_gigabytes_is_told(tars: Path, packing: Packing) -> None:
    (tars / VAL).write_bytes(claiming_two_gigabytes("ILSVRC2012_val_00000001.JPEG"))
    code, _, error = packing(tars)
    assert code == 1
    assert "ILSVRC2012_val_00000001.JPEG has 2000000000 bytes, at most 536870912 are read" in error


def test_a_picture_that_stands_twice_in_a_tar_is_refused(tars: Path, packing: Packing) -> None:
    with tarfile.open(tars / VAL, "a") as out:
        add(out, "ILSVRC2012_val_00000001.JPEG", b"other")
    code, _, error = packing(tars)
    assert code == 1
    assert "1 name that stands in a tar twice (" in error


def test_a_cut_tar_and_a_missing_or_empty_class_tar_are_told(tars: Path, packing: Packing) -> None:
    whole = (tars / TRAIN).read_bytes()
    (tars / TRAIN).write_bytes(whole[: len(whole) // 2])
    assert f"{TRAIN} cannot be read as a tar" in packing(tars, "--split=train")[2]
    (tars / TRAIN).write_bytes(whole)
    with tarfile.open(tars / TRAIN) as before:
        members = [(member.name, before.extractfile(member).read()) for member in before]  # type: ignore[union-attr]
    with tarfile.open(tars / TRAIN, "w") as out:
        for name, data in members[2:]:
            add(out, name, data)
        add(out, members[0][0], bytes(10_240))
        add(out, "notes.txt", b"x")
    code, _, error = packing(tars, "--split=train")
    assert code == 1
    assert (
        f"1 wnid without a training folder (unpacked in part? else take them out of the list) ({members[1][0][:9]})"
        in error
    )


@pytest.mark.parametrize(
    ("truth", "words"),
    [
        ([1, 2], f"38 val pictures without a line in {TRUTH}"),
        ([1] * 41, f"1 line of {TRUTH} without a picture in val (ILSVRC2012_val_00000041)"),
        ([11] * 40, f"40 lines of {TRUTH} that are no ILSVRC2012_ID of {META} (11 in line 1"),
        ([5000] * 40, f"40 lines of {TRUTH} that are no ILSVRC2012_ID"),
        ([-1] * 40, "(-1 in line 1"),
    ],
)
def test_a_kit_that_does_not_fit_is_told(
    truth: list[int], words: str, tars: Path, pictures: Path, packing: Packing
) -> None:
    lines = (pictures / SYNSETS).read_text().splitlines()
    devkit(tars, [(number, *line.split(" ", 1)) for number, line in enumerate(lines, 1)], truth)  # type: ignore[misc]
    code, _, error = packing(tars)
    assert code == 1
    assert words in error


def test_a_broken_kit_is_told(tars: Path, packing: Packing) -> None:
    whole = (tars / PACKED).read_bytes()
    for raw in (whole[: len(whole) // 2], b"no gzip", b""):
        (tars / PACKED).write_bytes(raw)
        code, _, error = packing(tars)
        assert code == 1
        assert f"{PACKED} cannot be read (" in error
    for meta in (b"MATLAB 4", meta_mat([]), meta_mat([(1, "n1", "a", 0), (2, "n1", "b", 0)]), None):
        with tarfile.open(tars / PACKED, "w:gz") as out:
            add(out, f"{KIT}/data/{TRUTH}", b"1\n")
            if meta is not None:
                add(out, f"{KIT}/data/{META}", meta)
        code, _, error = packing(tars)
        assert code == 1
        assert f"{META}" in error
        assert "download" in error


def test_a_tar_of_pictures_without_labels_is_told(tars: Path, packing: Packing) -> None:
    (tars / VAL).rename(tars / "pictures.tar")
    code, _, error = packing(tars / "pictures.tar")
    assert code == 1
    assert "40 samples without a label (cls, json or wnid), which have jpeg" in error


def test_what_is_compressed_as_a_whole_is_told_to_be_unpacked(tars: Path, packing: Packing) -> None:
    (tars / VAL).rename(tars / "pictures.tar.gz")
    assert "compressed as a whole and cannot be read at random: unpack it" in packing(tars / "pictures.tar.gz")[2]


def test_a_number_without_end_in_a_kit_is_told(tars: Path, packing: Packing) -> None:
    with tarfile.open(tars / PACKED, "w:gz") as out:
        add(out, f"{KIT}/data/{TRUTH}", b"9" * 5000 + b"\n")
        add(out, f"{KIT}/data/{META}", meta_mat([(1, "n1", "a", 0)]))
    code, _, error = packing(tars)
    assert code == 1
    assert f"1 line of {TRUTH} that is no ILSVRC2012_ID of {META} (99999999999999999999 in line 1)" in error
