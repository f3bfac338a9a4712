"""Where labels are told, and how classes get their numbers and names."""

import json
from pathlib import Path

import pytest

from support.foreign_checks import pictures_by_index, refused
from support.foreign_tars import SYNSETS, WNIDS, Parts, dataset, imagenet, picture, samples, write
from tarn.sharding.__main__ import main
from tarn.sharding.foreign.index import IndexConfig, index

LABELS: dict[str, tuple[str, Parts, int]] = {
    "cls before json": ("k", {"cls": b" 2\n", "json": b'{"label": 1}'}, 2),
    "json label": ("k", {"json": b'{"label": 2}'}, 2),
    "json cls": ("k", {"json": b'{"cls": 2, "label": "two"}'}, 2),
    "wnid in cls": ("k", {"cls": b"n02102040\n"}, 2),
    "json number as text": ("k", {"json": b'{"label": "2"}'}, 2),
    "json wnid as label": ("n01440764_1", {"json": b'{"label": "n02102040"}'}, 2),
    "json class_id": ("k", {"json": b'{"class_id": 2}'}, 2),
    "json wnid": ("k", {"json": b'{"wnid": "n02102040"}'}, 2),
    "json synset": ("k", {"json": b'{"synset": "n02102040"}'}, 2),
    "wnid in the key": ("n02102040_7", {"txt": b""}, 2),
    "wnid in the folder": ("a/n02102040/b/k", {}, 2),
    "wnid in the key before the folder": ("n01440764/n02102040_7", {}, 2),
    "json without a label": ("n02102040_7", {"json": b'{"label": true}'}, 2),
    "broken json": ("n02102040_7", {"json": b"{"}, 2),
}


@pytest.mark.parametrize("name", LABELS)
@pytest.mark.parametrize("ending", ["jpg", "JPEG", "png", "webp"])
def test_a_label_is_found_where_it_is_told(name: str, ending: str, tmp_path: Path) -> None:
    key, parts, label = LABELS[name]
    (tmp_path / "names.txt").write_text(SYNSETS)
    write(tmp_path / "in" / "train.tar", {key: {**parts, ending: picture(1)}})
    done = index(str(tmp_path / "in"), IndexConfig(classes=tmp_path / "names.txt"))
    assert pictures_by_index(done) == {"train": [(key, picture(1), label)]}
    assert len(done.manifest.classes) == 3


def test_wnids_are_numbered_in_sorted_order_over_all_splits(tmp_path: Path) -> None:
    write(tmp_path / "train" / "0.tar", {f"{WNIDS[2]}/a": {"jpg": b"x"}, f"{WNIDS[0]}/b": {"png": b"y"}})
    write(tmp_path / "val" / "0.tar", {"c": {"webp": b"z", "json": json.dumps({"wnid": WNIDS[1]}).encode()}})
    done = index(str(tmp_path), IndexConfig())
    assert [info.wnid for info in done.manifest.classes] == list(WNIDS)
    labels = {split: [label for *_, label in found] for split, found in pictures_by_index(done).items()}
    assert labels == {"train": [2, 0], "val": [1]}


def test_the_json_names_classes_where_all_its_samples_agree(tmp_path: Path) -> None:
    told = [(0, "tench", "n1"), (1, "goldfish", "n2"), (0, "tench", "n1"), (3, "a caption", "n4"), (3, "other", "n5")]
    parts = [{"label": label, "text": name, "wnid": wnid} for label, name, wnid in told]
    content = {f"k{row}": {"jpg": b"x", "json": json.dumps(each).encode()} for row, each in enumerate(parts)}
    write(tmp_path / "train.tar", content)
    classes = index(str(tmp_path), IndexConfig()).manifest.classes
    assert [(info.wnid, info.name) for info in classes] == [("n1", "tench"), ("n2", "goldfish"), ("2", "2"), ("3", "3")]


def test_without_a_list_of_names_the_wnids_in_the_keys_name_the_classes(tmp_path: Path) -> None:
    done = index(str(imagenet(tmp_path / "in")), IndexConfig())
    assert [info.name for info in done.manifest.classes] == list(WNIDS)


def test_a_list_in_another_order_than_the_labels_is_refused(tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_text("".join(sorted(SYNSETS.splitlines(True), reverse=True)))
    told = r"2 classes that --classes numbers otherwise \(n01440764: 2 there, 0 in tars"
    refused(imagenet(tmp_path / "in"), told, classes=tmp_path / "names.txt")


def test_a_label_or_wnid_that_the_list_does_not_have_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "two.txt").write_text("\n".join(SYNSETS.splitlines()[:2]))
    write(tmp_path / "numbers" / "train.tar", samples([0, 1, 2]))
    refused(tmp_path / "numbers", r"1 label outside 0 to 1 \(.*s00002 has 2\)", classes=tmp_path / "two.txt")
    write(tmp_path / "wnids" / "train.tar", {f"{wnid}_1": {"jpg": b"x"} for wnid in WNIDS})
    told = r"1 sample of a wnid that --classes does not list \(.*has n02102040\)"
    refused(tmp_path / "wnids", told, classes=tmp_path / "two.txt")


@pytest.mark.parametrize(
    ("text", "told"),
    [(b"", "is empty"), (b"a\tx\nb y\na\tz\n", "lists a again in line 3"), (b"\xff\xfe", "cannot be read")],
)
def test_a_list_of_classes_that_is_none_is_refused(text: bytes, told: str, tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_bytes(text)
    refused(dataset(tmp_path / "in"), rf"names.txt {told}", classes=tmp_path / "names.txt")


def test_a_list_or_a_pattern_that_is_not_there_is_the_callers_mistake(tmp_path: Path) -> None:
    root = str(dataset(tmp_path / "in"))
    assert main(["index", root, "--classes", str(tmp_path / "nowhere.txt")]) == 2
    assert main(["index", root, "--split", "train=nowhere-*.tar"]) == 2


def test_names_alone_are_taken_as_a_whole(tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_text("great white shark\ngreat grey owl\n\nn01\tcock\n")
    write(tmp_path / "in" / "train.tar", samples([0, 1, 2]))
    classes = index(str(tmp_path / "in"), IndexConfig(classes=tmp_path / "names.txt")).manifest.classes
    assert [(info.wnid, info.name) for info in classes] == [
        ("great white shark", "great white shark"),
        ("great grey owl", "great grey owl"),
        ("n01", "cock"),
    ]
