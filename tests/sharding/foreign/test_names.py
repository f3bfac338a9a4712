"""Labels in words: names of classes, which --classes tells the numbers of."""

import json
from pathlib import Path

import pytest

from support.foreign_checks import pictures_by_index, refused
from support.foreign_tars import Parts, picture, write
from tarn.sharding.foreign.index import IndexConfig, index
from tarn.sharding.format.manifest import read_manifest
from tarn.sharding.verify import verify

SYNSETS = (
    "n01484850 great white shark, white shark, man-eater\nn02012849 crane\nn03126707 crane\n"
    "n03710637 maillot\nn03710721 maillot, tank suit\n"
)

LABELS: dict[str, tuple[Parts, int]] = {
    "whole name": ({"cls": b"great white shark, white shark, man-eater\n"}, 0),
    "one of its names": ({"cls": b" great white shark\n"}, 0),
    "another of its names": ({"cls": b"tank suit"}, 4),
    "whole name of which a part is of two": ({"cls": b"maillot, tank suit"}, 4),
    "wnid": ({"cls": b"n03126707"}, 2),
    "name in json": ({"json": json.dumps({"label": "white shark"}).encode()}, 0),
    "class_name in json": ({"json": json.dumps({"class_name": "tank suit", "text": "a woman"}).encode()}, 4),
    "wnid in json before the name": ({"json": json.dumps({"label": "crane", "wnid": "n02012849"}).encode()}, 1),
}


@pytest.fixture
def classes(tmp_path: Path) -> Path:
    (tmp_path / "names.txt").write_text(SYNSETS)
    return tmp_path / "names.txt"


@pytest.mark.parametrize("name", LABELS)
def test_a_name_is_looked_up(name: str, classes: Path, tmp_path: Path) -> None:
    parts, label = LABELS[name]
    write(tmp_path / "in" / "train.tar", {"k": {**parts, "jpg": picture(1)}})
    done = index(str(tmp_path / "in"), IndexConfig(classes=classes))
    assert pictures_by_index(done) == {"train": [("k", picture(1), label)]}
    assert verify(done.root, read_manifest(done.root)) == []


def test_names_in_a_member_that_was_chosen_are_looked_up(classes: Path, tmp_path: Path) -> None:
    write(tmp_path / "in" / "train.tar", {"k": {"jpg": b"x", "txt": b"tank suit"}, "l": {"jpg": b"y", "txt": b"3"}})
    told = r"1 sample labelled by number, others by name \(train.tar: l has 3\)"
    refused(tmp_path / "in", told, classes=classes, label="txt")
    write(tmp_path / "in" / "train.tar", {"k": {"jpg": b"x", "txt": b"tank suit"}})
    done = index(str(tmp_path / "in"), IndexConfig(classes=classes, label="txt"))
    assert pictures_by_index(done)["train"] == [("k", b"x", 4)]


@pytest.mark.parametrize(
    ("label", "told"),
    [
        (
            b"lion",
            r"1 sample of a class that --classes does not list \(train.tar: k has lion\): add the class",
        ),
        (b"Great white shark", r"--classes does not list \(train.tar: k has Great white shark\)"),
        (b"crane", r"1 label that names several classes \(train.tar: k has crane, a name of n02012849 and n03126707\)"),
        (b"maillot", r"\(train.tar: k has maillot, a name of n03710637 and n03710721\): label those samples by wnid"),
    ],
)
def test_a_name_of_no_class_or_of_several_is_refused(label: bytes, told: str, classes: Path, tmp_path: Path) -> None:
    write(tmp_path / "in" / "train.tar", {"k": {"jpg": b"x", "cls": label}, "l": {"jpg": b"y", "cls": b"n02012849"}})
    refused(tmp_path / "in", told, classes=classes)


def test_of_a_list_of_names_alone_the_order_of_the_lines_is_that_of_the_numbers(tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_text("zebra\ngreat white shark\nape\n")
    write(tmp_path / "in" / "train.tar", {name: {"jpg": b"x", "cls": name.encode()} for name in ("ape", "zebra")})
    done = index(str(tmp_path / "in"), IndexConfig(classes=tmp_path / "names.txt"))
    assert [label for *_, label in pictures_by_index(done)["train"]] == [2, 0]
    assert [info.wnid for info in done.manifest.classes] == ["zebra", "great white shark", "ape"]
