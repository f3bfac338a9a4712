"""The layout of the public ImageNet copies, and what their _info.json tells."""

from collections.abc import Callable
from pathlib import Path

import pytest

from support.foreign_checks import pictures_by_index, refused
from support.foreign_tars import SYNSETS, WNIDS, imagenet, info_json, samples, write
from tarn.sharding.foreign.index import IndexConfig, index


def test_the_public_imagenet_layout_is_read_by_its_info(tmp_path: Path) -> None:
    root = imagenet(tmp_path / "in")
    (tmp_path / "names.txt").write_text(SYNSETS)
    done = index(str(root), IndexConfig(classes=tmp_path / "names.txt"))
    assert {name: split.samples for name, split in done.manifest.splits.items()} == {"train": 25, "val": 7}
    assert [info.wnid for info in done.manifest.classes] == list(WNIDS)
    assert done.manifest.classes[0].name == "tench, Tinca tinca"
    assert [label for _, _, label in pictures_by_index(done)["val"]] == [number % 3 for number in range(100, 107)]


INFO_MISTAKES: dict[str, tuple[Callable[[Path], object], str]] = {
    "count": (
        lambda root: info_json(root, train={"shard_lengths": [10, 9, 6]}),
        r"2 tars that their list counts otherwise \(imagenet1k-train-0001.tar: 9 there, 10 found, .*: 6 there, 5 found",
    ),
    "sum": (lambda root: info_json(root, train={"num_samples": 26}), r"of 25 samples, and num_samples 26"),
    "missing tar": (
        lambda root: (root / "imagenet1k-train-0001.tar").unlink(),
        r"_info.json lists 4 tars, .*in holds 3: 1 are missing \(imagenet1k-train-0001.tar\) and 0 are not listed",
    ),
    "more tars": (
        lambda root: write(root / "imagenet1k-train-0003.tar", samples([9])),
        r"0 are missing and 1 are not listed \(imagenet1k-train-0003.tar\)",
    ),
    "outside": (
        lambda root: info_json(root, train={"filenames": ["../a.tar", "b.tar", "c.tar"]}),
        r"'../a.tar' is no name below its folder",
    ),
    "no json": (lambda root: (root / "_info.json").write_text("{"), r"_info.json is no list of splits"),
    "list": (lambda root: (root / "_info.json").write_text("[1]"), r"_info.json is no list of splits"),
}


@pytest.mark.parametrize("name", INFO_MISTAKES)
def test_an_info_that_does_not_fit_the_tars_is_an_error_naming_both(name: str, tmp_path: Path) -> None:
    root = imagenet(tmp_path / "in")
    harm, told = INFO_MISTAKES[name]
    harm(root)
    refused(root, told)


def test_patterns_choose_some_of_the_listed_tars_and_their_counts_are_still_checked(tmp_path: Path) -> None:
    root = imagenet(tmp_path / "in")
    (root / "imagenet1k-train-0001.tar").unlink()
    chosen = IndexConfig(splits=("train=*-train-*.tar", "held-out=*validation-{00..00}.tar"), out=str(tmp_path / "out"))
    done = index(str(root), chosen)
    assert {name: split.samples for name, split in done.manifest.splits.items()} == {"train": 15, "held-out": 7}
    write(root / "imagenet1k-train-0002.tar", samples([1]))
    refused(root, r"imagenet1k-train-0002.tar: 5 there, 1 found", splits=chosen.splits)
