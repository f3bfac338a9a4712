"""All indexes of a split in one file, beside those of every shard."""

from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from tarn.sharding.format import gathered
from tarn.sharding.format.gathered import right_parts
from tarn.sharding.format.manifest import read_manifest
from tarn.sharding.packing.pack import PackConfig, pack
from tarn.sharding.verify import verify

SMALL = PackConfig(shard_size=1_000_000)


def test_it_holds_every_shards_index_in_the_manifests_order(shards: Path) -> None:
    for name, split in read_manifest(str(shards)).splits.items():
        raw = (shards / f"{name}.indexes").read_bytes()
        own = [(shards / shard.index_name).read_bytes() for shard in split.shards]
        assert raw == b"".join(own)
        assert right_parts(raw, split.shards) == dict(enumerate(own))


def test_a_part_that_is_not_as_the_manifest_says_is_left_out(shards: Path) -> None:
    infos = read_manifest(str(shards)).split("train").shards
    raw = bytearray((shards / "train.indexes").read_bytes())
    raw[infos[0].index_size + 20] ^= 1
    assert sorted(right_parts(bytes(raw), infos)) == [0, *range(2, len(infos))]
    assert sorted(right_parts(bytes(raw[: infos[0].index_size]), infos)) == [0]


def test_verify_tells_a_wrong_one_and_does_not_miss_it(pictures: Path, tmp_path: Path) -> None:
    manifest, _ = pack(pictures, str(tmp_path / "out"), replace(SMALL, split="val"))
    path = tmp_path / "out" / "val.indexes"
    path.write_bytes(path.read_bytes()[:-1])
    (told,) = verify(str(tmp_path / "out"), manifest)
    assert "val.indexes does not hold the indexes of the manifest" in told
    path.unlink()
    assert verify(str(tmp_path / "out"), manifest) == []


def test_a_split_that_grew_too_large_for_it_leaves_none_behind(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    pack(pictures, str(out), SMALL)
    assert sorted(path.name for path in out.glob("*.indexes")) == ["train.indexes", "val.indexes"]
    monkeypatch.setattr(gathered, "LARGEST", (out / "val.indexes").stat().st_size)
    pack(pictures, str(out), replace(SMALL, seed=1, overwrite=True))
    assert sorted(path.name for path in out.glob("*.indexes")) == ["val.indexes"]


def test_a_split_that_goes_takes_it_along(pictures: Path, tmp_path: Path) -> None:
    out, other = tmp_path / "out", tmp_path / "in" / "train" / "cat"
    pack(pictures, str(out), SMALL)
    other.mkdir(parents=True)
    Image.new("RGB", (40, 40)).save(other / "a.jpg")
    pack(tmp_path / "in", str(out), replace(SMALL, overwrite=True))
    assert sorted(path.name for path in out.glob("*.indexes")) == ["train.indexes"]
    assert verify(str(out), read_manifest(str(out))) == []
