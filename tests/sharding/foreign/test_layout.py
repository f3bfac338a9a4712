"""Which tars are meant, and of which split they are."""

from pathlib import Path
from typing import Any

import pytest

from support.foreign_checks import refused
from support.foreign_tars import dataset, samples, write
from tarn.sharding.errors import UsageError
from tarn.sharding.foreign.index import IndexConfig, index
from tarn.sharding.foreign.names import expand, split_of

SPLITS = {
    "imagenet1k-train-0000.tar": "train",
    "train/0001.tar": "train",
    "validation/a.tar": "val",
    "x/valid_256/7.tar": "val",
    "ImageNet-VAL-3.tar": "val",
    "train/test-000.tar": "test",
    "data/0000.tar": None,
    "valve-0000.tar": None,
    "trainer/testament-0.tar": None,
    "train2017-0.tar": "train",
    "trainset/0.tar": "train",
    "Testing_1.tar": "test",
    "retrained.tar": None,
}


@pytest.mark.parametrize("name", SPLITS)
def test_a_name_tells_its_split(name: str) -> None:
    assert split_of(name) == SPLITS[name]


def test_test_stands_for_val_where_there_is_no_val(tmp_path: Path) -> None:
    write(tmp_path / "data" / "train" / "0.tar", samples([1]))
    write(tmp_path / "data" / "test" / "0.tar", samples([2]))
    assert list(index(str(tmp_path), IndexConfig()).manifest.splits) == ["train", "val"]
    write(tmp_path / "valid.tar", samples([3]))
    assert list(index(str(tmp_path), IndexConfig(overwrite=True)).manifest.splits) == ["test", "train", "val"]


LAYOUTS: dict[str, tuple[list[str], dict[str, Any], str]] = {
    "no tars": (["x.txt"], {}, r"holds no tars"),
    "no split": (["a.tar", "b.tar", "train.tar"], {}, r"2 tars whose names tell no split \(a.tar, b.tar\).*--split"),
    "two splits": (["train-val.tar"], {}, r"train-val.tar may be of train or val: say which by --split"),
    "gz": (["train-0.tar.gz"], {}, r"train-0.tar.gz is compressed, so it cannot be read at random"),
    "tgz": (["train.tgz", "train.tar"], {}, r"train.tgz is compressed"),
    "zst": (["train/0.tar.zst"], {"splits": ("train=train/*",)}, r"0.tar.zst is compressed"),
    "no match": (["a.tar"], {"splits": ("train=b*.tar",)}, r"--split=train=b\*.tar: .*/b\*.tar is not there"),
    "no pattern": (["a.tar"], {"splits": ("train",)}, r"--split=train is not name=pattern"),
    "taken twice": (["a.tar"], {"splits": ("train=*", "val=a.tar")}, r"--split takes a.tar twice"),
    "loose brace": (["a.tar"], {"splits": ("train={0..3",)}, r"has a brace without its other"),
    "no workers": (["train.tar"], {"workers": 0}, r"--workers=0 must be at least 1"),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_layout_that_is_not_clear_is_refused(name: str, tmp_path: Path) -> None:
    names, options, told = LAYOUTS[name]
    for each in names:
        write(tmp_path / each, samples([1]))
    refused(tmp_path, told, **options)


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nowhere is not a folder"):
        index(str(tmp_path / "nowhere"), IndexConfig())


def test_braces_expand_as_in_a_shell() -> None:
    assert expand("x-{08..11}.tar") == ["x-08.tar", "x-09.tar", "x-10.tar", "x-11.tar"]
    assert expand("{a,b{1..2}}/{9..10}") == ["a/9", "a/10", "b1/9", "b1/10", "b2/9", "b2/10"]
    assert expand("plain.tar") == ["plain.tar"]
    for text in ("{3..1}", "{0..99999999}", "{0..999}{0..999}{0..9}", "a}", "{a"):
        with pytest.raises(UsageError):
            expand(text)


@pytest.mark.parametrize("relative", [False, True])
def test_a_pattern_names_tars_of_a_local_folder(
    relative: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = dataset(tmp_path / "in")
    monkeypatch.chdir(root)
    pattern = "my-{train-000{0..1},val-0000}.tar"
    done = index(pattern if relative else f"{root}/{pattern}", IndexConfig(out=str(tmp_path / "out")))
    assert {name: split.samples for name, split in done.manifest.splits.items()} == {"train": 20, "val": 7}
    assert done.manifest.data_root == str(root)
