"""Tars whose pictures and labels have other endings than expected: which are meant is said, and kept."""

import json
import re
import shlex
from pathlib import Path

import pytest

from support.foreign_checks import contents, pictures_by_index, refused
from support.foreign_tars import picture, write
from tarn.sharding.__main__ import main
from tarn.sharding.errors import UsageError
from tarn.sharding.foreign.index import IndexConfig, index
from tarn.sharding.foreign.reading import PICTURES, Reading
from tarn.sharding.format.manifest import read_manifest
from tarn.sharding.sources.tree import EXTENSIONS
from tarn.sharding.verify import verify


def tars(root: Path) -> Path:
    """Pictures are input.jpg, their masks target.png; labels are told in three places, each time another."""
    for split, numbers in (("train", range(6)), ("val", range(6, 9))):
        content = {
            f"s{number}": {
                "Input.JPG": picture(number),
                "target.png": b"mask",
                "outputs.txt": b"%d\n" % (number % 2),
                "meta.json": json.dumps({"id": number, "kind": (number + 1) % 3, "sides": [1]}).encode(),
                "json": json.dumps({"set": str(number % 3), "label": 5}).encode(),
            }
            for number in numbers
        }
        write(root / split / "0.tar", content)
    return root


LABELS = {
    "outputs.txt": [0, 1, 0, 1, 0, 1],
    ".Outputs.TXT": [0, 1, 0, 1, 0, 1],
    "meta.json:kind": [1, 2, 0, 1, 2, 0],
    "json:set": [0, 1, 2, 0, 1, 2],
    "json": [5] * 6,
}


@pytest.mark.parametrize("label", LABELS)
def test_picture_and_label_are_those_that_were_chosen_also_when_they_are_read_again(label: str, tmp_path: Path) -> None:
    root = tars(tmp_path / "in")
    done = index(str(root), IndexConfig(picture="input.jpg", label=label))
    given = pictures_by_index(done)["train"]
    assert given == [(f"s{number}", picture(number), LABELS[label][number]) for number in range(6)]
    assert verify(str(root), read_manifest(str(root))) == []
    assert index(str(root), IndexConfig()).fresh is False
    assert index(str(root), IndexConfig(picture="input.jpg", label=label)).fresh is False
    refused(root, r"was indexed before, but with another --picture or --label: give --over", picture="target.png")


def test_another_choice_gives_another_fingerprint_so_that_no_run_goes_on_with_other_labels(tmp_path: Path) -> None:
    root = tars(tmp_path / "in")
    first = index(str(root), IndexConfig(picture="input.jpg", label="json:set")).manifest
    second = index(str(root), IndexConfig(picture="target.png", label="json:set", overwrite=True)).manifest
    assert first.fingerprint("train") != second.fingerprint("train")


def test_the_error_gives_the_options_that_mend_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = tmp_path / "in"
    write(root / "train-0.tar", {f"s{row}": {"input.jpg": picture(row), "outputs.txt": b"1"} for row in range(3)})
    assert main(["index", str(root)]) == 1
    told = capsys.readouterr().err
    assert "3 samples without a picture (jpg, png, webp and the like), which have input.jpg, outputs.txt (" in told
    options = re.search(r"say which member is the picture and which the label by (--.*?)\. Nothing was", told)
    assert options is not None
    assert main(["index", str(root), *shlex.split(options[1])]) == 0
    assert [label for *_, label in pictures_by_index(index(str(root), IndexConfig()))["train"]] == [1, 1, 1]


def test_what_most_samples_have_is_told_where_they_differ(tmp_path: Path) -> None:
    content = {f"s{row}": {"img.png": b"x", "class.txt": b"1"} for row in range(3)}
    write(tmp_path / "in" / "train.tar", {**content, "odd": {"mp4": b"x"}})
    told = (
        r"4 samples without a picture .*, most of which have class.txt, img.png .* --picture img.png --label class.txt"
    )
    refused(tmp_path / "in", told)


def test_samples_of_another_format_are_told_to_be_left_out(tmp_path: Path) -> None:
    content = {f"s{row}": {"jpg": picture(row), "cls": b"1"} for row in range(3)}
    write(tmp_path / "in" / "train.tar", {**content, "odd": {"tga": b"x", "cls": b"1"}})
    refused(tmp_path / "in", r"1 sample without a picture .*, which ha.* cls, tga .*: write the tars without them, or")


def test_all_members_that_could_be_the_picture_are_offered(tmp_path: Path) -> None:
    content = {"depth.png": b"x", "input.jpg": picture(0), "cls": b"1"}
    write(tmp_path / "in" / "train.tar", {f"s{row}": content for row in range(3)})
    refused(tmp_path / "in", r"3 samples without a picture .* by --picture depth\.png \(or input\.jpg\)\. Nothing was")


def test_a_choice_that_no_sample_has_is_told_with_what_they_have(tmp_path: Path) -> None:
    root = tars(tmp_path / "in")
    told = r"9 samples without a picture \(input.jpeg\), which have input.jpg, json:set, .* by --picture input.jpg"
    refused(root, told, picture="input.jpeg", label="json:set")
    refused(root, r"9 samples without a label \(cls\), which .* by --label ", picture="input.jpg", label="cls")
    refused(root, r"9 samples without a label \(json:none\), which.*", picture="input.jpg", label="json:none")
    refused(root, r"9 labels \(meta.json:sides\) that are not a number", picture="input.jpg", label="meta.json:sides")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ({"picture": "a b"}, r"--picture=a b is no ending"),
        ({"picture": ""}, r"--picture= is no ending"),
        ({"label": "a/b.txt"}, r"--label=a/b.txt is no ending"),
        ({"label": "txt:label"}, r"--label=txt:label names a key of no JSON"),
        ({"label": "json:"}, r"--label=json: names a key of no JSON"),
    ],
)
def test_what_is_no_ending_is_refused(words: dict[str, str], told: str, tmp_path: Path) -> None:
    root = tars(tmp_path / "in")
    before = contents(root)
    with pytest.raises(UsageError, match=told):
        index(str(root), IndexConfig(**words))
    assert contents(root) == before


def test_every_ending_that_is_packed_is_read_and_another_picture_beside_a_usual_one_is_none(tmp_path: Path) -> None:
    assert {f".{ending}" for ending in PICTURES} == set(EXTENSIONS)
    content = {f"s{row}": {ending: picture(row), "cls": b"0"} for row, ending in enumerate(PICTURES)}
    content["masked"] = {"jpg": b"picture", "gif": b"mask", "cls": b"0"}
    write(tmp_path / "in" / "train.tar", content)
    given = pictures_by_index(index(str(tmp_path / "in"), IndexConfig()))["train"]
    assert [data for _, data, _ in given] == [*(picture(row) for row in range(len(PICTURES))), b"picture"]


def test_a_manifest_says_nothing_of_a_choice_where_none_was_made(tmp_path: Path) -> None:
    write(tmp_path / "in" / "train.tar", {"a": {"jpg": b"x", "cls": b"0"}})
    manifest = index(str(tmp_path / "in"), IndexConfig()).manifest
    assert "reading" not in manifest.split("train").packed
    assert Reading.of(manifest.split("train").packed) == Reading()
