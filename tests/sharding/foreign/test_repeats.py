"""Keys that come again in a split, and labels that train does not have."""

import itertools
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.foreign_checks import pictures_by_index, refused
from support.foreign_tars import picture, samples, write
from tarn.sharding.__main__ import main
from tarn.sharding.foreign.index import IndexConfig, index
from tarn.sharding.foreign.labels import Names
from tarn.sharding.foreign.repeats import repeats
from tarn.sharding.foreign.samples import Samples, digest
from tarn.sharding.format.manifest import RECORD, read_manifest
from tarn.sharding.verify import verify


def test_a_shard_that_lies_there_twice_is_refused_and_both_are_named(tmp_path: Path) -> None:
    write(tmp_path / "train-0.tar", samples(range(4)))
    shutil.copy(tmp_path / "train-0.tar", tmp_path / "train-0 (copy).tar")
    told = r"1 pair of tars of train that holds the same .* \(train-0 \(copy\).tar and train-0.tar: 4, such as s00000"
    assert ": remove one tar of each pair, or leave it out by --split. Nothing" in refused(tmp_path, told)
    assert index(str(tmp_path), IndexConfig(splits=("train=train-0.tar",))).manifest.split("train").samples == 4


def test_keys_that_begin_anew_in_each_tar_are_noted_and_read_as_samples_of_their_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for tar in range(3):
        content = {f"{row:03d}": {"jpg": picture(10 * tar + row), "cls": b"0"} for row in range(4 - tar)}
        write(tmp_path / f"train-{tar}.tar", content)
    assert main(["index", str(tmp_path)]) == 0
    told = "5 keys of train come again in another tar with another picture, first 000 in train-0.tar and train-1.tar"
    assert told in capsys.readouterr().out
    done = index(str(tmp_path), IndexConfig())
    assert len({data for _, data, _ in pictures_by_index(done)["train"]}) == 9
    assert verify(str(tmp_path), read_manifest(str(tmp_path))) == []


def test_the_same_key_in_train_and_val_is_nothing_to_speak_of(tmp_path: Path) -> None:
    for split in ("train", "val"):
        write(tmp_path / f"{split}.tar", samples(range(3)))
    assert index(str(tmp_path), IndexConfig()).notes == ()


KEYS = st.tuples(st.integers(0, 3), st.integers(0, 1), st.integers(0, 1))  # key, size, CRC-32


@given(st.lists(st.lists(KEYS, unique_by=lambda sample: sample[0], max_size=4), max_size=5))
def test_repeats_are_those_that_comparing_all_with_all_finds(tars: list[list[tuple[int, int, int]]]) -> None:
    found = repeats([made(tar) for tar in tars])
    places: dict[tuple[int, int, int], list[int]] = {}
    contents: dict[int, set[tuple[int, int]]] = {}
    for number, tar in enumerate(tars):
        for sample in tar:
            places.setdefault(sample, []).append(number)
            contents.setdefault(sample[0], set()).add(sample[1:])
    pairs = [pair for numbers in places.values() for pair in itertools.pairwise(numbers)]
    assert sorted((shared.tars, shared.count) for shared in found.same) == sorted(
        (pair, pairs.count(pair)) for pair in set(pairs)
    )
    assert found.pairs == len(set(pairs))
    others = sum(len(each) - 1 for each in contents.values())
    assert (found.others.count if found.others else 0) == others
    for shared in (*found.same, *([found.others] if found.others else [])):
        assert all(shared.key in made(tars[place]).keys for place in shared.tars)


def made(tar: Sequence[tuple[int, int, int]]) -> Samples:
    keys = [f"k{key}" for key, _, _ in tar]
    records = np.array([(0, size, 0, crc32) for _, size, crc32 in tar], RECORD)
    digests = np.array([digest(key) for key in keys], np.uint64)
    return Samples(records, (0,), Names(), "\0".join(keys), digests, ())


def test_a_great_many_pairs_of_tars_are_counted_and_the_first_ten_named(tmp_path: Path) -> None:
    parts = {"jpg": b"x", "cls": b"0"}
    for tar in range(13):
        write(tmp_path / f"train-{tar:02d}.tar", {"same": parts, f"own{tar}": {**parts, "jpg": b"%d" % tar}})
    told = refused(tmp_path, r"12 pairs of tars of train that hold the same samples \(train-00.tar and train-01.tar: 1")
    assert "train-09.tar and train-10.tar: 1, such as same and 2 more)" in told


@pytest.mark.parametrize(
    ("train", "val", "told"),
    [
        (range(4), range(1, 5), "1 class of val (4) is not in train; train has labels 0 to 3, val 1 to 4: make sure"),
        (range(1, 5), range(4), "1 class of val (0) is not in train; train has labels 1 to 4, val 0 to 3"),
        (range(2), range(1, 9), "7 classes of val (2, 3, 4, ...) are not in train"),
        (range(4), range(1, 3), None),
    ],
)
def test_labels_that_train_does_not_have_are_noted(train: range, val: range, told: str | None, tmp_path: Path) -> None:
    for split, labels in (("train", train), ("val", val)):
        content = {f"{split}{label}": {"jpg": b"x%d" % label, "cls": b"%d" % label} for label in labels}
        write(tmp_path / f"{split}.tar", content)
    notes = index(str(tmp_path), IndexConfig()).notes
    assert [note[: len(told)] for note in notes] == [told] if told else notes == ()


def test_wnids_that_train_does_not_have_are_noted(tmp_path: Path) -> None:
    write(tmp_path / "train.tar", {"n00000001_1": {"jpg": b"x"}})
    write(tmp_path / "val.tar", {"n00000001_1": {"jpg": b"x"}, "n00000002_1": {"jpg": b"y"}})
    (note,) = index(str(tmp_path), IndexConfig()).notes
    assert note == "1 class of val (n00000002) is not in train: make sure that both name their classes alike"
