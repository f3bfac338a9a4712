import io
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from support.models import val
from support.web import served
from tarn.inference.pictures import NamedPicture
from tarn.inference.sources import words as all_words
from tarn.inference.sources.words import Sources
from tarn.sharding.errors import TarnError, UsageError


def pictures_of(*words: object, lists: Sequence[object] = (), split: str | None = None) -> list[NamedPicture]:
    units = Sources(words=list(map(str, words)), lists=list(map(str, lists)), split=split).units()
    found = [picture for unit in units for picture in unit.open()]
    assert all(unit.count in (None, len(unit.open())) for unit in units)
    return found


def names(found: Sequence[NamedPicture], below: Path) -> list[str]:
    return [picture.name.removeprefix(f"{below}/") for picture in found]


@pytest.fixture
def tree(pictures: Path, tmp_path: Path) -> Path:
    """a/1.jpg, a/b/2.jpg, a-b/3.JPG, what is none beside them, and a hidden one."""
    for number, name in enumerate(("a/1.jpg", "a/b/2.jpg", "a-b/3.JPG", ".hidden/4.jpg"), 1):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(val(pictures, number).read_bytes())
    (tmp_path / "a" / "notes.doc").write_text("no picture")
    return tmp_path


def test_folders_and_patterns_name_the_same_pictures_in_the_same_order(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    everything = ["a/1.jpg", "a/b/2.jpg", "a-b/3.JPG"]
    assert names(pictures_of(tree), tree) == everything
    assert names(pictures_of(f"{tree}/**"), tree) == everything
    assert names(pictures_of(f"{tree}/*"), tree) == everything
    assert names(pictures_of(f"{tree}/**/*.jpg"), tree) == everything[:2]
    assert names(pictures_of(f"{tree}/a/[0-9].jp?", f"{tree}/a-b"), tree) == ["a/1.jpg", "a-b/3.JPG"]
    monkeypatch.chdir(tree)
    assert [picture.name for picture in pictures_of("a*/*.jpg")] == ["a/1.jpg"]
    (tree / "odd[1].jpg").write_bytes(b"x")
    assert [picture.name for picture in pictures_of("odd[1].jpg")] == ["odd[1].jpg"]


def test_braces_stand_for_numbers_unless_a_file_is_called_so(tree: Path) -> None:
    (tree / "{1..2}.jpg").write_bytes(b"x")
    assert names(pictures_of(f"{tree}/{{1..2}}.jpg"), tree) == ["{1..2}.jpg"]
    assert names(pictures_of(f"{tree}/a/{{1,b/2}}.jpg"), tree) == ["a/1.jpg", "a/b/2.jpg"]
    with pytest.raises(UsageError, match=r"a/7\.jpg is not there"):
        pictures_of(f"{tree}/a/{{7..9}}.jpg")


def test_single_pictures_are_dealt_into_runs(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(all_words, "RUN", 2)
    units = Sources(words=[f"{tree}/a/1.jpg", str(tree), f"{tree}/a/1.jpg"]).units()
    assert [unit.count for unit in units] == [2, 2, 1]
    assert len({unit.key for unit in units}) == 3


def test_shards_are_named_by_tar_by_dataset_and_by_split_and_tell_their_labels(shards: Path) -> None:
    tars = sorted((shards / "val").glob("*.tar"))
    by_tar = pictures_of(*tars)
    assert len(by_tar) == 40
    assert names(pictures_of(shards, split="val"), shards) == names(by_tar, shards)
    assert names(pictures_of(f"{shards}/val"), shards) == names(by_tar, shards)
    assert len(pictures_of(shards)) == 160
    assert {type(picture.label) for picture in by_tar} == {int}
    assert {type(picture.label) for picture in pictures_of(shards)} == {str}
    with pytest.raises(UsageError, match="split 'test' is not in this dataset"):
        pictures_of(shards, split="test")


def test_a_shard_of_a_web_server_is_copied_for_as_long_as_its_pictures_are_there(shards: Path, tmp_path: Path) -> None:
    (tar,) = sorted((shards / "val").glob("*.tar"))[:1]
    local = pictures_of(tar)
    with served(shards) as web:
        (unit,) = Sources(words=[f"{web.url}/val/{tar.name}"], aside=tmp_path).units()
        found = list(unit.open())
    assert len(list(tmp_path.rglob("*.tar"))) == 1
    assert [picture.load(10**7) for picture in found] == [picture.load(10**7) for picture in local]
    del found
    assert list(tmp_path.iterdir()) == []


def test_a_shard_that_changed_is_another_unit(shards: Path, tmp_path: Path) -> None:
    tar = sorted((shards / "val").glob("*.tar"))[0]
    (tmp_path / "x.tar").write_bytes(tar.read_bytes())
    before, again = (Sources(words=[tmp_path / "x.tar"]).units()[0].key for _ in range(2))
    assert before == again
    (tmp_path / "x.tar").write_bytes(tar.read_bytes() + bytes(512))
    assert Sources(words=[tmp_path / "x.tar"]).units()[0].key != before


@pytest.mark.parametrize(
    ("name", "text", "labels"),
    [
        ("list.txt", "a/1.jpg\n\nHERE/a/b/2.jpg\r\n", [None, None]),
        ("list.txt", "a/1.jpg\0HERE/a/b/2.jpg\0", [None, None]),
        ("list.csv", 'path,label\na/1.jpg,n90900001\n"HERE/a/b/2.jpg",7\n', ["n90900001", 7]),
        ("list.tsv", "File\tScore\na/1.jpg\t3\nHERE/a/b/2.jpg\t4\n", [None, None]),
        ("list.jsonl", '{"image": "a/1.jpg", "labels": [5, 6]}\n{"image": "HERE/a/b/2.jpg"}\n', [5, None]),
    ],
)
def test_listings_name_pictures_relative_to_themselves(
    name: str, text: str, labels: list[object], tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir("/")
    (tree / name).write_bytes(text.replace("HERE", str(tree)).encode())
    for found in (pictures_of(tree / name), pictures_of(lists=[tree / name])):
        assert names(found, tree) == ["a/1.jpg", "a/b/2.jpg"]
        told = [picture.label for picture in found]
        assert [label if label not in ("a", "b") else None for label in told] == labels


def test_standard_input_gives_one_picture_or_a_list_of_paths(
    tree: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def pipe(data: bytes) -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))

    monkeypatch.chdir(tree)
    pipe(val(pictures, 1).read_bytes())
    (found,) = pictures_of("-")
    assert (found.name, found.load(10**7)) == ("stdin", val(pictures, 1).read_bytes())
    pipe(b"a/1.jpg\na/b/2.jpg\n")
    assert [picture.name for picture in pictures_of(lists=["-"])] == ["a/1.jpg", "a/b/2.jpg"]
    pipe(b"\n")
    with pytest.raises(UsageError, match="standard input lists no picture"):
        pictures_of(lists=["-"])


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("list.csv", "name,label\nx,1\n", "none of which is called like the picture"),
        ("list.csv", "path,label\n", "lists no picture"),
        ("list.csv", "path,label\na/1.jpg\n", "has rows that have not 2 cells .1 in all, such as 1 cell in line 2"),
        ("list.txt", "\n", "lists no picture"),
        ("list.jsonl", "[]\n", "does not begin with a JSON object"),
    ],
)
def test_a_listing_that_lists_nothing_is_told(name: str, text: str, told: str, tree: Path) -> None:
    (tree / name).write_text(text)
    with pytest.raises(TarnError, match=told):
        pictures_of(tree / name)


def test_a_row_without_a_picture_keeps_its_place(tree: Path) -> None:
    (tree / "list.csv").write_text("path,label\n,1\na/1.jpg,2\n")
    lost, found = pictures_of(tree / "list.csv")
    assert lost.name.startswith("line 2 of ")
    with pytest.raises(TarnError, match="names no picture"):
        lost.load(10)
    assert found.label == 2


def test_a_dataset_of_a_web_server_is_one_and_anything_else_there_is_a_picture(shards: Path) -> None:
    with served(shards.parent) as web:
        found = pictures_of(f"{web.url}/{shards.name}", split="val")
        assert {picture.label for picture in found} == {picture.label for picture in pictures_of(shards, split="val")}
        (odd,) = pictures_of(f"{web.url}/no-ending?id=3")
    assert odd.name.endswith("/no-ending?id=3")
