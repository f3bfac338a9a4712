"""A part of a source is a pure function of keys, labels and the seed."""

from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest

from support.datasets import contents, picture_tree
from tarn.sharding.__main__ import main
from tarn.sharding.errors import UsageError
from tarn.sharding.format.manifest import read_manifest
from tarn.sharding.sources import Source
from tarn.sharding.sources.find import read_source
from tarn.sharding.sources.selection import Selection, parse_classes, parse_subset, selected


@pytest.fixture
def source(tmp_path: Path) -> Source:
    return read_source(picture_tree(tmp_path / "source", classes=4), "all")


def keys(source: Source, split: str = "train") -> list[str]:
    return [picture.key for picture in source.splits[split]]


def test_all_is_the_source_itself(source: Source) -> None:
    assert selected(source, Selection(), 0) == source


def test_a_larger_subset_holds_every_smaller_one_and_the_seed_draws_it(source: Source) -> None:
    parts = [set(keys(selected(source, Selection(subset=part), 0))) for part in (3, 0.25, 0.5, 1.0)]
    assert list(map(len, parts)) == [3, 8, 16, 32]
    assert all(small < large for small, large in pairwise(parts))
    assert set(keys(selected(source, Selection(subset=3), 1))) != parts[0]


def test_a_subset_does_not_depend_on_what_else_there_is(source: Source) -> None:
    half = set(keys(selected(source, Selection(subset=16), 0)))
    without = Source(source.kind, source.classes, {"train": tuple(p for p in source.splits["train"] if p.key in half)})
    assert set(keys(selected(without, Selection(subset=16), 0))) == half


def test_classes_that_are_chosen_are_numbered_anew(source: Source) -> None:
    part = selected(source, Selection(classes=("class3", "class1")), 0)
    assert [info.wnid for info in part.classes] == ["class1", "class3"]
    for split in ("train", "val"):
        assert all(picture.key.startswith(part.classes[picture.label].wnid) for picture in part.splits[split])
    assert len(part.splits["train"]) == 16


def test_a_limit_takes_from_all_classes_in_turn(source: Source) -> None:
    part = selected(source, Selection(limit=6), 0)
    assert sorted(Counter(picture.label for picture in part.splits["train"]).values()) == [1, 1, 2, 2]
    assert keys(part) == sorted(keys(part))
    assert len(part.splits["val"]) == 6


@pytest.mark.parametrize("bad", [{"subset": 0.0}, {"subset": 1.5}, {"subset": 0}, {"limit": 0}])
def test_parts_that_are_none_are_refused(bad: dict[str, float]) -> None:
    with pytest.raises(UsageError):
        Selection(**bad)  # type: ignore[arg-type]


def test_words_of_the_command_line_are_understood(tmp_path: Path) -> None:
    assert [parse_subset(text) for text in ("0.1", "10%", "500", "1.0")] == [0.1, 0.1, 500, 1.0]
    with pytest.raises(UsageError, match="is no number"):
        parse_subset("half")
    (tmp_path / "names.txt").write_text("\ufeffn01 tench, Tinca tinca\r\n\nn02\nn01 tench, Tinca tinca\n", "utf-8")
    assert parse_classes(str(tmp_path / "names.txt")) == ("n01 tench, Tinca tinca", "n02")
    assert parse_classes("n02, n01") == ("n02", "n01")
    with pytest.raises(UsageError, match="names no class"):
        parse_classes(" , ")


def test_lines_of_a_file_name_classes_with_blanks_and_wnids_with_names(source: Source) -> None:
    part = selected(source, Selection(classes=("class2 the third one",)), 0)
    assert [info.wnid for info in part.classes] == ["class2"]
    with pytest.raises(UsageError, match=r"names 2 that the source does not have \(nope, no\): .* like class0"):
        selected(source, Selection(classes=("class2", "nope", "no")), 0)


def test_a_part_is_packed_and_packing_it_again_finds_it_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tree, out = picture_tree(tmp_path / "source"), str(tmp_path / "out")
    words = ["pack", str(tree), out, "--classes", "class2,class0", "--subset", "50%", "--limit", "6", "--workers=1"]
    assert main(words) == 0
    manifest = read_manifest(out)
    assert [info.wnid for info in manifest.classes] == ["class0", "class2"]
    assert (manifest.split("train").samples, manifest.split("val").samples) == (6, 2)
    before = contents(Path(out))
    assert main(words) == 0
    assert "up to date" in capsys.readouterr().out
    assert contents(Path(out)) == before
    assert main([*words[:3], "--classes", "class2,class0", "--workers=1"]) == 2
    assert "packed with another" in capsys.readouterr().err


def test_a_long_list_of_classes_is_no_name_of_a_file() -> None:
    wnids = [f"n{number:08}" for number in range(40)]
    assert parse_classes(",".join(wnids)) == tuple(wnids)


@pytest.mark.parametrize("words", [["--seed", "1" * 80, "--subset", "0.5"], ["--shard-size", "9" * 400]])
def test_numbers_without_end_are_refused(words: list[str], tmp_path: Path) -> None:
    source = picture_tree(tmp_path / "source", classes=1, train=2)
    assert main(["pack", str(source), str(tmp_path / "out"), *words]) == 2
    assert not (tmp_path / "out").exists()
