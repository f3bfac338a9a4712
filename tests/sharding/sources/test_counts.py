"""How much a source holds, against what is expected of it."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from support.checkout import REAL_PICTURES
from support.datasets import contents
from support.downloads import PICTURES
from tarn.sharding.__main__ import main
from tarn.sharding.errors import TarnError, UsageError
from tarn.sharding.format.manifest import ClassInfo
from tarn.sharding.sources import Picture, Source, counts, imagenet1k
from tarn.sharding.sources.counts import compare, parse_expect
from tarn.sharding.sources.place import File

WNIDS = [f"n{number:08d}" for number in range(1000)]


def source(train: Sequence[int], val: Sequence[int]) -> Source:
    """So many pictures of each class."""
    splits = {
        split: tuple(
            Picture(f"{label}-{number}", File("", "x"), label, 1)
            for label, count in enumerate(have)
            for number in range(count)
        )
        for split, have in (("train", train), ("val", val))
    }
    return Source("folder", tuple(ClassInfo(wnid, wnid) for wnid in WNIDS), splits)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """An ImageNet-1k of which the first class has 2 pictures of train, the others 3, and all 1 of val."""
    by_class = dict.fromkeys(WNIDS, 3) | {WNIDS[0]: 2}
    monkeypatch.setattr(counts, "is_imagenet1k", lambda wnids: list(wnids) == WNIDS)
    monkeypatch.setattr(counts, "train_counts", lambda wnids: by_class)
    monkeypatch.setattr(counts, "TRAIN", 2999)
    monkeypatch.setattr(counts, "VAL", 1000)
    monkeypatch.setattr(counts, "VAL_OF_A_CLASS", 1)


@pytest.mark.usefixtures("small")
def test_a_whole_imagenet_is_told_to_be_whole() -> None:
    assert compare(source([2] + [3] * 999, [1] * 1000), "auto", "x") == [
        "train is whole: 2,999 pictures, as ImageNet-1k has them",
        "val is whole: 1,000 pictures, as ImageNet-1k has them",
    ]


@pytest.mark.usefixtures("small")
def test_every_class_that_differs_is_named_also_where_the_sum_is_right() -> None:
    train, val = compare(source([3, 2] + [3] * 998, [1] * 999 + [0]), "auto", "x")
    assert train == (
        "train has 2,999 pictures, ImageNet-1k 2,999; 2 classes differ: n00000000 3 of 2, n00000001 2 of 3"
    )
    assert val == "val has 999 pictures, ImageNet-1k 1,000; 1 class differs: n00000999 0 of 1"


@pytest.mark.usefixtures("small")
def test_of_many_classes_the_first_ones_are_named() -> None:
    (train, _) = compare(source([1] * 1000, [1] * 1000), "auto", "x")
    assert train.startswith("train has 1,000 pictures, ImageNet-1k 2,999; 1,000 classes differ: n00000000 1 of 2, ")
    assert train.endswith(", n00000009 1 of 3 and 990 more")


@pytest.mark.usefixtures("small")
def test_what_is_expected_is_a_condition_and_none_silences() -> None:
    part = source([1] * 1000, [1] * 1000)
    assert compare(part, "none", "x") == []
    assert compare(part, "train=1000,val=1000,classes=1000", "x") == []
    with pytest.raises(
        TarnError,
        match=r"^x holds 1,000 of train in place of 2,999, 1,000 of classes in place of 10 \(--expect .*990 more\. ",
    ):
        compare(part, "train=2_999,classes=10", "x")


@pytest.mark.parametrize(
    "text", ["train", "train=", "train=x", "test=5", "train=1,train=2", "train=-1", "", "train=1,"]
)
def test_other_words_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--expect="):
        parse_expect(text)


def test_classes_are_known_by_their_wnids_alone(pictures: Path) -> None:
    assert not imagenet1k.is_imagenet1k(WNIDS)
    assert not imagenet1k.is_imagenet1k(path.name for path in (pictures / PICTURES / "train").iterdir())


def test_counts_of_imagenet_add_up() -> None:
    fewer = [each.split()[0] for each in imagenet1k.FEWER.replace("\n", ",").split(",") if each.strip()]
    assert len(set(fewer)) == len(fewer) == 105
    counted = imagenet1k.train_counts([*fewer, *WNIDS[:895]])
    assert sum(counted.values()) == imagenet1k.TRAIN
    assert imagenet1k.VAL_OF_A_CLASS * imagenet1k.CLASSES == imagenet1k.VAL


@pytest.mark.skipif(not REAL_PICTURES.is_dir(), reason="the real photographs are not beside the checkout")
def test_the_real_classes_are_known() -> None:
    lines = (REAL_PICTURES / "LOC_synset_mapping.txt").read_text().splitlines()
    assert imagenet1k.is_imagenet1k(line.split()[0] for line in lines)


def test_pack_fails_before_anything_is_written(
    pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["pack", str(pictures), str(tmp_path / "out"), "--workers=1", "--split=val", "--expect"]
    assert main([*words, "val=41,classes=10"]) == 1
    assert "holds 40 of val in place of 41 (--expect val=41,classes=10). Nothing was" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert main([*words, "val=forty"]) == 2
    assert main([*words, "val=40,train=120"]) == 1
    assert "no train, 120 were expected" in capsys.readouterr().err
    assert main([*words, "val=40,classes=10"]) == 0
    assert contents(tmp_path / "out")
    assert "counts:" not in capsys.readouterr().out
