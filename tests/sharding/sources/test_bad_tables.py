"""Listings and parquet as people should not make them: a clear error that names file and row, or a counted skip."""

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from support.datasets import contents, picture_tree
from support.tables import write_csv, write_parquet
from support.web import served
from tarn.sharding.__main__ import main
from tarn.sharding.archives import parquet
from tarn.sharding.errors import TarnError, UsageError
from tarn.sharding.format.manifest import read_manifest
from tarn.sharding.packing.pack import PackConfig, pack
from tarn.sharding.packing.repair import repair
from tarn.sharding.sources.find import look_at, read_source
from tarn.sharding.sources.table import Table
from tarn.sharding.verify import VerifyConfig, verify


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder of pictures train0.jpg to train7.jpg; two more lie beside it."""
    tree = picture_tree(tmp_path / "tree", classes=1)
    (tree / "train" / "class0").rename(tmp_path / "home")
    for name in ("outside.jpg", "home-2.jpg"):
        (tmp_path / name).write_bytes((tmp_path / "home" / "train0.jpg").read_bytes())
    return tmp_path / "home"


def written(home: Path, text: str | bytes, name: str = "x.csv") -> Path:
    (home / name).write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))
    return home / name


def error_of(given: Path, how: Table | None = None) -> str:
    with pytest.raises(TarnError) as caught:
        read_source(given, "all", "auto", how or Table())
    return str(caught.value)


ROWS = {
    "/etc/passwd,0": r"1 path that leads out of {home} (--base names another folder) (/etc/passwd in line 3 of x.csv)",
    "../outside.jpg,0": r"1 path that leads out of {home} (--base names another folder) (../outside.jpg in line 3",
    "a/../../outside.jpg,0": "(a/../../outside.jpg in line 3 of x.csv)",
    "{home}-2.jpg,0": "1 path that leads out of {home}",
    "file:///etc/passwd,0": "(file:///etc/passwd in line 3 of x.csv)",
    "ftp://host/x.jpg,0": "1 URL of no known store (http, https, s3, gs, az) (ftp://host/x.jpg in line 3 of x.csv)",
    "simplecache::file:///etc/passwd,0": "1 URL of no known store",
    "zip://a.jpg::http://host/x.zip,0": "1 URL of no known store",
    "s3://bucket/x::file:///etc/passwd,0": "1 URL of no known store",
    ".,0": "1 path that leads out of",
    ",0": "1 row without a path",
    "a\0b.jpg,0": "1 row without a path ('a\\x00b.jpg' in line 3 of x.csv)",
    "train1.jpg,": "label is missing, or neither a number nor a word (train1.jpg in line 3 of x.csv)",
    "train1.jpg,-1": "1 label that is no class (-1 in line 3 of x.csv)",
    "train1.jpg,99999999": "1 label that is no class (99999999 in line 3 of x.csv)",
    "train1.jpg,0,more": "1 row that has not 2 cells (3 cells in line 3 of x.csv)",
    "train1.jpg": "1 row that has not 2 cells (1 cell in line 3 of x.csv)",
    "missing.jpg,1": "1 picture that is not there ({home}/missing.jpg (No such file or directory) in line 3",
    "{home},1": "1 path that leads out of",
    "train0.jpg,1": "1 picture that comes again with another label (train0.jpg in line 3 of x.csv)",
}


@pytest.mark.parametrize("row", ROWS)
def test_a_bad_row_is_named_by_file_and_line_and_nothing_is_published(row: str, home: Path, tmp_path: Path) -> None:
    given = written(home, f"path,label\ntrain0.jpg,0\n{row.format(home=home)}\ntrain2.jpg,2\n")
    with pytest.raises(TarnError) as caught:
        pack(given, tmp_path / "out", PackConfig())
    assert ROWS[row].format(home=home) in str(caught.value)
    assert str(caught.value).endswith("Nothing was published.")
    assert not (tmp_path / "out").exists()


WHOLE = {
    "train0.jpg,0\ntrain1.jpg,1\n": "begins with a picture: put a line of names before it, such as path,label",
    "name,foo\ntrain0.jpg,0\n": "none of which is called like the picture (path, file, filename, ...)",
    "path,foo\ntrain0.jpg,0\n": "none of which is called like the label (label, class, target, ...)",
    "path,path,label\na,b,0\n": "two columns of the name path: rename one of them",
    "": "is empty: give",
    "path,label\n": "has no pictures of the split 'train'",
    'path,label\n"train0.jpg,0\ntrain1.jpg,1\n': "cannot be read near line 3 (unexpected end of data)",
    "path,label,split\ntrain0.jpg,0,foo\n": "1 row of an unknown split (foo in line 2 of x.csv)",
    "path,label\ntrain0.jpg,0\ntrain1.jpg,1\ntrain2.jpg,cat\n": "1 label that is no class (cat in line 4 of x.csv)",
    "path,label,split\ntrain0.jpg,cat,train\ntrain1.jpg,caat,val\n": "1 label that is no class (caat in line 3",
}


@pytest.mark.parametrize("text", WHOLE)
def test_a_listing_that_is_none_is_told_as_one_sentence(text: str, home: Path) -> None:
    told = error_of(written(home, text))
    assert WHOLE[text] in told
    assert "x.csv" in told


def test_other_encodings_are_told_by_line(home: Path) -> None:
    assert "is not UTF-8 in line 3" in error_of(written(home, "path,label\ntrain0.jpg,0\nü.jpg,0\n".encode("latin-1")))
    assert "is not UTF-8 in line 1" in error_of(written(home, "path,label\n".encode("utf-16")))


LINES = {
    "not json": "1 line that is no JSON object (not json in line 2 of x.jsonl)",
    "[1]": "1 line that is no JSON object",
    '{"path": "train1.jpg", "label": NaN}': "1 line that is no JSON object",
    '{"a":' * 100_000: "1 line that is no JSON object",
    '{"path": 7, "label": 0}': "1 row without a path (7 in line 2 of x.jsonl)",
    '{"label": 0}': "1 row without a path",
    '{"path": "\\ud800.jpg", "label": 0}': "1 picture that is not there",
    '{"path": "train1.jpg", "label": {"a": 1}}': "label is missing, or neither a number nor a word",
    '{"path": "train1.jpg", "label": true}': "label is missing, or neither a number nor a word",
    '{"path": "train1.jpg", "label": "a\\nb"}': "label is missing, or neither a number nor a word",
    '{"path": "train1.jpg", "label": []}': "label is missing, or neither a number nor a word",
    '{"path": "train1.jpg"}': "label is missing, or neither a number nor a word",
}


@pytest.mark.parametrize("line", LINES, ids=range(len(LINES)))
def test_a_bad_line_of_json_is_named(line: str, home: Path) -> None:
    given = written(home, f'{{"path": "train0.jpg", "label": 0}}\n{line}\n', "x.jsonl")
    assert LINES[line] in error_of(given)


def test_an_array_is_no_jsonl(home: Path) -> None:
    assert "give JSONL, an object in each line" in error_of(written(home, '[{"path": "train0.jpg"}]\n', "x.jsonl"))


def test_what_is_no_file_is_not_waited_for(home: Path) -> None:
    os.mkfifo(home / "fifo.jpg")
    (home / "loop.jpg").symlink_to("loop.jpg")
    (home / "folder.jpg").mkdir()
    told = error_of(written(home, "path,label\nfifo.jpg,0\nloop.jpg,0\nfolder.jpg,0\n"))
    assert "3 pictures that are not there" in told
    assert "fifo.jpg (it is no file) in line 2" in told


def test_odd_names_are_read_and_kept_apart(home: Path, tmp_path: Path) -> None:
    names = [
        "b c.jpg",
        "ünï.jpg",
        "x.y.z.jpg",
        "x.y-z.jpg",
        'quo"te.jpg',
        "com,ma.jpg",
        "noending",
        "deep/a.jpg",
        "a.jpg",
    ]
    names += ["a.jpeg", "new\nline.jpg", "{}.jpg", "%41.jpg", "-o.jpg", "a.jpg.jpg"]
    for name in names:
        (home / name).parent.mkdir(exist_ok=True)
        (home / name).write_bytes((home / "train0.jpg").read_bytes())
    given = write_csv(home / "x.csv", [{"path": name, "label": number} for number, name in enumerate(names)])
    pack(given, tmp_path / "out", PackConfig())
    manifest = read_manifest(tmp_path / "out")
    assert manifest.splits["train"].samples == len(names)
    assert verify(tmp_path / "out", manifest, VerifyConfig(source=given)) == []
    assert main(["extract", str(tmp_path / "out"), str(tmp_path / "again")]) == 0
    assert len(list((tmp_path / "again").rglob("*.jpg"))) == len(names)


def test_absolute_paths_and_dots_are_read_where_they_stay_below(home: Path) -> None:
    given = written(home, f"path,label\n{home}/train0.jpg,0\n./train1.jpg,1\na/../train2.jpg,0\n")
    assert [picture.key for picture in read_source(given, "all").splits["train"]] == ["train0", "train1", "train2"]


def test_keys_do_not_depend_on_where_the_listing_lies(home: Path, tmp_path: Path) -> None:
    (home / "deep").mkdir()
    for name in ("deep/train1.jpg", "train1.jpeg"):
        (home / name).write_bytes((home / "train1.jpg").read_bytes())
    written(home, "path,label\ndeep/train1.jpg,0\ntrain1.jpg,1\ntrain1.jpeg,0\ntrain2.jpg,0\n")
    home.rename(tmp_path / "moved")
    keys = [picture.key for picture in read_source(tmp_path / "moved" / "x.csv", "all").splits["train"]]
    assert keys == ["deep/train1", "train1_jpeg", "train1_jpg", "train2"]


def test_a_base_given_is_asked_for_again_and_rows_that_come_again_are_counted(home: Path, tmp_path: Path) -> None:
    given = written(tmp_path, "path,label\ntrain0.jpg,0\n./train0.jpg,0\ntrain1.jpg,1\n", "y.csv")
    found = read_source(given, "all", "auto", Table(base=str(home)))
    assert [picture.key for picture in found.splits["train"]] == ["train0", "train1"]
    assert found.passed.counts == {"rows that come again": 1}
    words = [str(given), "--base", str(home)]
    assert main(["pack", words[0], str(tmp_path / "out"), *words[1:]]) == 0
    assert main(["verify", str(tmp_path / "out"), "--source", *words]) == 0
    assert main(["verify", str(tmp_path / "out"), "--source", str(given)]) == 1
    (tmp_path / "out" / "train" / "train-000000.idx").unlink()
    assert main(["repair", str(tmp_path / "out"), *words]) == 0


def test_pictures_that_are_gone_are_skipped_and_counted_where_asked_for(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = written(home, "path,label\ntrain0.jpg,0\nmissing.jpg,1\ntrain1.jpg,1\n")
    assert main(["pack", str(given), str(tmp_path / "out"), "--bad=skip", "--workers=1"]) == 0
    told = f"({home}/missing.jpg (No such file or directory) in line 3 of x.csv)"
    assert f"passed over: 1 picture that is not there {told}" in capsys.readouterr().out
    before = contents(tmp_path / "out")
    (tmp_path / "out" / "train" / "train-000000.tar").unlink()
    assert repair(str(tmp_path / "out"), given) == ("train/train-000000.tar",)
    assert contents(tmp_path / "out") == before
    assert main(["verify", str(tmp_path / "out"), "--source", str(given)]) == 0


def test_urls_are_packed_and_those_that_are_gone_told_or_skipped(home: Path, tmp_path: Path) -> None:
    (home / "b c.jpg").write_bytes((home / "train7.jpg").read_bytes())
    with served(home) as web:
        rows = [{"url": f"{web.url}/train{number}.jpg", "label": number % 2} for number in range(7)]
        rows += [{"url": f"{web.url}/b%20c.jpg", "label": 1}]
        pack(write_csv(tmp_path / "x.csv", rows), tmp_path / "out", PackConfig())
        assert verify(tmp_path / "out", read_manifest(tmp_path / "out")) == []
        given = write_csv(tmp_path / "y.csv", [*rows, {"url": f"{web.url}/gone.jpg", "label": 0}])
        with pytest.raises(
            TarnError, match=r"1 picture that is not there \(http.*/gone\.jpg \(it is not there\) in line 10"
        ):
            pack(given, tmp_path / "two", PackConfig())
        pack(given, tmp_path / "two", PackConfig(bad="skip"))
        written(
            home, "path,label\n" + "".join(f"train{number}.jpg,{number % 2}\n" for number in range(7)) + "b c.jpg,1\n"
        )
        pack(f"{web.url}/x.csv", tmp_path / "three", PackConfig())
    shards = [(tmp_path / name / "train" / "train-000000.tar").read_bytes() for name in ("out", "two", "three")]
    pack(home / "x.csv", tmp_path / "four", PackConfig())
    assert shards == [(tmp_path / "four" / "train" / "train-000000.tar").read_bytes()] * 3


def test_a_listing_of_a_web_server_reads_no_file_of_this_machine(home: Path, tmp_path: Path) -> None:
    with served(home) as web:
        for path in (f"{home}/train0.jpg", "../x.jpg", f"file://{home}/train0.jpg"):
            written(home, f"path,label\n{path},0\n")
            with pytest.raises(TarnError, match=r"1 (path that leads out|URL of no known)"):
                read_source(f"{web.url}/x.csv", "all")


def test_a_url_that_goes_while_it_is_packed_is_a_damaged_picture(home: Path, tmp_path: Path) -> None:
    with served(home) as web:
        rows = [{"url": f"{web.url}/train{number}.jpg", "label": 0} for number in range(3)]
        [*found] = read_source(write_csv(tmp_path / "x.csv", rows), "all").splits["train"]
        (home / "train1.jpg").unlink()
        with pytest.raises(TarnError, match=r"train1\.jpg: it is not there any more"):
            found[1].place.read()


def picture_rows(home: Path) -> list[dict[str, Any]]:
    return [
        {"image": {"bytes": path.read_bytes(), "path": path.name}, "label": number % 3}
        for number, path in enumerate(sorted(home.glob("*.jpg")))
    ]


def test_without_pyarrow_one_sentence_says_what_to_install(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given = write_parquet(tmp_path / "x.parquet", picture_rows(home), None)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert main(["pack", str(given), str(tmp_path / "out")]) == 1
    assert (
        "a parquet is read by pyarrow, which is not here: install it by uv pip install pyarrow"
        in capsys.readouterr().err
    )


def test_a_cut_or_spoilt_parquet_is_told(home: Path, tmp_path: Path) -> None:
    given = write_parquet(tmp_path / "x.parquet", picture_rows(home), ["a", "b", "c"], group=3)
    whole = given.read_bytes()
    for data in (b"PAR1", whole[:-10], b"PAR1" + b"x" * 100 + b"PAR1"):
        given.write_bytes(data)
        with pytest.raises(TarnError, match=r"x\.parquet is no whole parquet \("):
            look_at(given)
    given.write_bytes(whole[:4] + bytes(3000) + whole[3004:])
    with pytest.raises(TarnError, match=r"unreadable pictures \(.*x\.parquet/row 0: damaged row group \("):
        pack(given, tmp_path / "out", PackConfig())


def test_rows_without_bytes_labels_that_are_none_and_other_columns_are_told(home: Path, tmp_path: Path) -> None:
    rows = picture_rows(home)
    rows[2]["image"] = {"bytes": None, "path": "gone.jpg"}
    given = write_parquet(tmp_path / "x.parquet", rows, None)
    with pytest.raises(TarnError, match=r"1 unreadable picture \(.*row 2: the parquet tells no bytes of it\)"):
        pack(given, tmp_path / "out", PackConfig())
    pack(given, tmp_path / "out", PackConfig(bad="skip"))
    assert read_manifest(tmp_path / "out").splits["train"].skipped == 1
    for label, told in ((None, "label is missing"), (-1, "1 label that is no class (-1 in row 1 of x.parquet)")):
        rows = picture_rows(home)
        rows[1]["label"] = label
        write_parquet(given, rows, None)
        assert told in error_of(given)
    rows[1]["label"] = 7
    assert "1 label that is no class (7 in row 1" in error_of(write_parquet(given, rows, ["a", "b", "c"]))
    with pytest.raises(UsageError, match=r"none of which is called like the label"):
        look_at(write_parquet(given, [{"image": row["image"], "foo": 1} for row in rows], None))
    with pytest.raises(UsageError, match=r"its column id holds no bytes of pictures"):
        look_at(write_parquet(given, [{"id": 1, "label": 0}], None), "auto", Table(columns=(("picture", "id"),)))


def test_files_that_number_other_classes_are_told(home: Path, tmp_path: Path) -> None:
    write_parquet(tmp_path / "hub-train-0.parquet", picture_rows(home), ["a", "b", "c"])
    write_parquet(tmp_path / "hub-train-1.parquet", picture_rows(home), ["b", "a", "c"])
    assert "1 file that numbers other classes than the first (" in error_of(tmp_path)


def test_pictures_without_names_and_of_the_same_name_have_keys_of_their_own(home: Path, tmp_path: Path) -> None:
    rows = picture_rows(home)
    for row in rows[:4]:
        row["image"]["path"] = None
    for row in rows[4:]:
        row["image"]["path"] = "image.jpg"
    found = read_source(write_parquet(tmp_path / "hub.parquet", rows, None), "all").splits["train"]
    keys = [picture.key for picture in found]
    assert len(set(keys)) == len(keys) == len(rows)
    assert set(keys) >= {f"hub-{number:07}" for number in range(4)}


def test_a_row_group_is_read_once_a_shard_and_few_for_a_shard(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = picture_rows(home) * 20
    given = write_parquet(tmp_path / "x.parquet", [dict(row, image=dict(row["image"])) for row in rows], None, group=20)
    read: list[int] = []
    real = parquet.Column.rows_of

    def counted(self: parquet.Column, file: Any, group: int, wanted: Any) -> Any:
        read.append(group)
        return real(self, file, group, wanted)

    monkeypatch.setattr(parquet.Column, "rows_of", counted)
    pack(given, tmp_path / "out", PackConfig(shard_size=60_000))
    shards = len(read_manifest(tmp_path / "out").splits["train"].shards)
    assert shards > 4
    assert len(read) <= len(set(read)) + shards


def test_where_paths_begin_is_asked_for_where_none_is_found(home: Path, tmp_path: Path) -> None:
    given = write_csv(tmp_path / "x.csv", [{"path": f"train{number}.jpg", "label": 0} for number in range(3)])
    told = f"3 pictures that are not there .*, say by --base FOLDER where its paths begin .now {tmp_path}., or leave"
    with pytest.raises(TarnError, match=told):
        read_source(given, "train")
    with pytest.raises(
        UsageError, match=r"--base=none is no folder: give the one from which the listing's paths begin"
    ):
        read_source(given, "train", "auto", Table(base="none"))
    assert len(read_source(given, "train", "auto", Table(base=str(home))).splits["train"]) == 3


ADVICE = {
    "path,label\ntrain0.jpg,0\ntrain1.jpg,1\ntrain2.jpg,-1\n": "labels of train count from 0 to 1: mend those rows",
    "path,label,split\ntrain0.jpg,cat,train\ntrain1.jpg,dog,val\n": "let train have each class, or take their rows out",
    "path,label,split\ntrain0.jpg,cat,dev\n": "call splits by one of train, training, val, valid, validation, test",
}


@pytest.mark.parametrize("text", ADVICE)
def test_what_to_do_about_labels_and_splits_is_told(text: str, home: Path) -> None:
    assert f"): {ADVICE[text]}" in error_of(written(home, text))


def test_how_the_classes_of_a_list_are_called_is_told(home: Path, tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_text("cat\ndog\n")
    given = written(home, "path,label\ntrain0.jpg,cat\ntrain1.jpg,wolf\n")
    assert "--class-list has 2 classes, called like cat, or by number" in error_of(
        given, Table(class_list=str(tmp_path / "names.txt"))
    )


def test_listings_of_no_split_in_a_folder_are_named(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a.csv", "b.jsonl"):
        (home / name).write_text("path,label\n")
    assert main(["pack", str(home), str(tmp_path / "out")]) == 2
    told = capsys.readouterr()
    assert told.out == f"source: a folder, {home}\n"
    assert f"{home} holds a.csv, b.jsonl, but no listing that is called like a split" in told.err


def test_labels_that_do_not_begin_at_0_are_noted(home: Path) -> None:
    note = "labels begin at 1, and classes are counted from 0: class 0 has no picture"
    given = written(home, "path,label\ntrain0.jpg,1\ntrain1.jpg,2\n")
    assert read_source(given, "all").notes == (note,)
    assert read_source(written(home, "path,label\ntrain0.jpg,1\ntrain1.jpg,0\n"), "all").notes == ()
    assert read_source(written(home, "path,label\ntrain0.jpg,dog\ntrain1.jpg,cat\n"), "all").notes == ()


def test_a_picture_that_comes_again_with_other_labels_behind_the_first_is_told(home: Path) -> None:
    given = written(home, "path,labels\ntrain0.jpg,0;1\ntrain0.jpg,0;2\ntrain1.jpg,0;1\ntrain1.jpg,0;1\n")
    told = error_of(given)
    assert "1 picture that comes again with another label (train0.jpg in line 3 of x.csv)" in told


def test_classes_that_no_row_is_of_are_noted(home: Path, tmp_path: Path) -> None:
    given, told = written(home, "path,label\ntrain0.jpg,1\ntrain1.jpg,2\ntrain2.jpg,4\n"), list[str]()
    pack(given, tmp_path / "out", PackConfig(), told.append)
    assert told[-1] == (
        "counts: train has no picture of 2 of the 5 classes (0, 3); labels that are numbers count from 0"
    )


def test_a_parquet_of_paths_beside_pictures_is_read_by_the_pictures(home: Path, tmp_path: Path) -> None:
    data = [(home / f"train{number}.jpg").read_bytes() for number in range(2)]
    rows = [{"path": f"{number}.jpg", "jpeg": it, "label": number} for number, it in enumerate(data)]
    write_parquet(tmp_path / "x.parquet", rows, None)
    assert len(read_source(tmp_path / "x.parquet", "all").splits["train"]) == 2
    with pytest.raises(UsageError, match="its column path holds no bytes of pictures"):
        read_source(tmp_path / "x.parquet", "all", how=Table(columns=(("picture", "path"),)))


def test_a_parquet_whose_text_is_no_utf8_is_told(home: Path, tmp_path: Path) -> None:
    rows = [{"image": {"bytes": b"x", "path": "PATHPATH.jpg"}, "class": "LABELLABEL"}]
    write_parquet(tmp_path / "x.parquet", rows, None)
    raw = (tmp_path / "x.parquet").read_bytes().replace(b"LABELLABEL", b"LABEL\xff\xfeBEL")
    (tmp_path / "x.parquet").write_bytes(raw)
    assert "damaged row group ('utf-8' codec can't decode byte 0xff" in error_of(tmp_path / "x.parquet")


@pytest.mark.parametrize("words", ["train=" + "9" * 5000, "train=" + "9" * 19])
def test_a_count_without_end_is_not_understood(words: str, home: Path, tmp_path: Path) -> None:
    given = written(home, "path,label\ntrain0.jpg,0\n")
    assert main(["pack", str(given), str(tmp_path / "out"), "--expect", words]) == 2


def test_classes_that_nobody_would_tell_apart_are_noted(home: Path, tmp_path: Path) -> None:
    labels, told = ("Cat", "cat", "caf\u00e9", "cafe\u0301", "dog"), list[str]()
    rows = "".join(f"train{number}.jpg,{label}\n" for number, label in enumerate(labels))
    pack(written(home, f"path,label\n{rows}"), tmp_path / "out", PackConfig(), told.append)
    assert told[-1] == (
        "counts: classes whose names differ by case or Unicode form alone stay apart: "
        "'Cat' and 'cat', 'cafe\\u0301' and 'caf\\xe9'"
    )
