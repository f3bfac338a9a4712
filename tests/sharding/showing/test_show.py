"""One sample by its key or its place, from a disk, a store or tars of others, by small reads."""

import tarfile
from pathlib import Path

import pytest

from support.datasets import picture_tree
from support.foreign_tars import dataset, picture, write_members
from support.web import served
from tarn.sharding.__main__ import main
from tarn.sharding.errors import TarnError, UsageError
from tarn.sharding.foreign.index import IndexConfig, index
from tarn.sharding.foreign.reading import parted
from tarn.sharding.format.archive import padded
from tarn.sharding.interchange.describe import describe
from tarn.sharding.looking.dataset import Dataset, Sample
from tarn.sharding.packing.pack import PackConfig, pack
from tarn.sharding.showing.search import search
from tarn.sharding.showing.show import show


@pytest.fixture
def root(tmp_path: Path) -> Path:
    pack(picture_tree(tmp_path / "source"), str(tmp_path / "out"), PackConfig(shard_size=10_000))
    return tmp_path / "out"


def found(root: object, wanted: str) -> Sample:
    dataset = Dataset(str(root))
    (sample,) = dataset.read([search(dataset, wanted)])
    return sample


def by_tarfile(root: Path) -> dict[str, tuple[str, bytes]]:
    """Shard and picture of each key."""
    pictures = {}
    for path in sorted(root.glob("*/*.tar")):
        with tarfile.open(path) as tar:
            for member in tar:
                if member.name.endswith(".jpg"):
                    name = str(path.relative_to(root))
                    pictures[member.name[:-4]] = (name, tar.extractfile(member).read())  # type: ignore[union-attr]
    return pictures


def test_every_key_is_found_where_it_lies(root: Path) -> None:
    truth = by_tarfile(root)
    assert len(truth) == 30
    for key, (shard, data) in truth.items():
        sample = found(root, key)
        assert (sample.name, sample.located.shard.name, sample.data) == (f"{key}.jpg", shard, data)
        assert sample.located.label == int(key[5])


def test_every_key_is_found_by_lists_of_names_where_there_are_some(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    describe(str(root), ["dali-index"])

    def never(*_: object) -> None:
        raise AssertionError("headers were read")

    monkeypatch.setattr("tarn.sharding.showing.search.in_headers", never)
    for key, (shard, data) in by_tarfile(root).items():
        sample = found(root, key)
        assert (sample.name, sample.located.shard.name, sample.data) == (f"{key}.jpg", shard, data)


@pytest.mark.parametrize(
    "words", ["train/train-000002.tar:1", "train/train-000002:1", "train-000002.tar:1", "train-000002:1"]
)
def test_a_place_is_named_in_whichever_way(words: str, root: Path) -> None:
    sample = found(root, words)
    assert (sample.located.shard.name, sample.located.row) == ("train/train-000002.tar", 1)


def test_what_is_not_there_is_told(root: Path) -> None:
    with pytest.raises(UsageError, match=r"has no sample 'nobody': .* train/train-000000.tar:0"):
        found(root, "nobody")
    with pytest.raises(UsageError, match=r"numbered from 0: there is no 99"):
        found(root, "train-000000:99")


def test_the_command_shows_a_sample_and_writes_its_picture(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with served(root) as web:
        assert main(["show", web.url, "class1/train3", "--out", str(tmp_path / "x.jpg")]) == 0
    said = capsys.readouterr().out
    for part in (
        "class    1, class1\n",
        "JPEG, 64 x 48 px, RGB, CRC-32",
        "split train, sample",
        "tiled    yes, about every 40 px",
    ):
        assert part in said
    assert (tmp_path / "x.jpg").read_bytes() == by_tarfile(root)["class1/train3"][1]


def test_how_a_picture_was_packed_is_shown(shards: Path) -> None:
    dataset = Dataset(str(shards))
    (_, shard), *_ = dataset.shards(["train"])
    told = {line for sample in dataset.read(dataset.located("train", shard)) for line in show(dataset, sample)}
    kinds = {line for line in told if line.startswith("tiled")}
    assert "tiled    yes, about every 40 px" in kinds


def test_a_picture_that_is_not_the_indexes_is_shown_as_that(root: Path) -> None:
    path = root / "train" / "train-000000.tar"
    raw = bytearray(path.read_bytes())
    raw[1700] ^= 1
    path.write_bytes(raw)
    dataset = Dataset(str(root))
    assert any("which its bytes do NOT have" in line for line in show(dataset, found(root, "train-000000:0")))


def test_an_index_of_another_tar_is_told(root: Path) -> None:
    path = root / "train" / "train-000000.tar"
    path.write_bytes(bytes(path.stat().st_size))
    with pytest.raises(TarnError, match=r"train-000000.tar has no tar header before a picture of its index"):
        found(root, "train-000000:0")


def test_samples_of_somebody_elses_tars_are_found(tmp_path: Path) -> None:
    root = dataset(tmp_path / "tars")
    index(str(root), IndexConfig())
    sample = found(root, "s00013")
    assert (sample.located.shard.name, sample.data) == ("my-train-0001.tar", picture(13))


@pytest.mark.parametrize("tar_format", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT, tarfile.USTAR_FORMAT])
def test_long_names_are_read_as_every_format_has_them(tar_format: int, tmp_path: Path) -> None:
    folders = ["a" * 60 + "/" + "b" * 70 + f"/{number:03d}" for number in range(3)]
    names = folders if tar_format == tarfile.USTAR_FORMAT else [f"{name}{'c' * 200}é" for name in folders]
    members = [(f"{key}.{end}", data) for key in names for end, data in (("cls", b"0"), ("jpg", key.encode() * 9))]
    write_members(tmp_path / "train-0.tar", members, tar_format)
    index(str(tmp_path), IndexConfig())
    for key in names:
        sample = found(tmp_path, key)
        assert parted(sample.name)[0] == key
        assert sample.data == key.encode() * 9


def test_a_tar_whose_headers_changed_is_told(root: Path) -> None:
    dataset = Dataset(str(root))
    located = search(dataset, "train-000000:1")
    (sample,) = dataset.read([located])
    path = root / "train" / "train-000000.tar"
    raw = bytearray(path.read_bytes())
    before = dataset.located(located.split, located.shard, [0])[0]
    raw[before.offset + padded(before.size)] ^= 1
    path.write_bytes(raw)
    with pytest.raises(TarnError, match=r"is not the tar of its index .* verify it"):
        show(dataset, sample)
