import numpy as np
import pytest

from tarn.sharding.errors import TarnError
from tarn.sharding.format.manifest import RECORD, ClassInfo, Manifest, ShardInfo, Split, index_bytes, parse_index

SHARD = ShardInfo("train/train-000000.tar", 2, 4096, "ab" * 32, "cd" * 32)
MANIFEST = Manifest((ClassInfo("n01", "tench, Tinca tinca"),), {"train": Split((SHARD,), {"seed": 1})})


def test_a_manifest_comes_back_from_its_json() -> None:
    assert Manifest.from_json(MANIFEST.to_json(), "here") == MANIFEST


@pytest.mark.parametrize("text", ["", "[]", '{"format": "tarn-shards", "version": 1}', "\x00"])
def test_what_is_no_manifest_is_refused_by_name(text: str) -> None:
    with pytest.raises(TarnError, match=r"bad\.json"):
        Manifest.from_json(text, "bad.json")


def test_a_manifest_of_another_version_names_both_versions() -> None:
    with pytest.raises(TarnError, match=r"version 9.*version 1"):
        Manifest.from_json(MANIFEST.to_json().replace('"version": 1', '"version": 9'), "m.json")


def test_the_fingerprint_changes_with_a_shard() -> None:
    other = Manifest(MANIFEST.classes, {"train": Split((ShardInfo(SHARD.name, 2, 4096, "00" * 32, "cd" * 32),))})
    assert other.fingerprint("train") != MANIFEST.fingerprint("train")


def test_an_index_comes_back_and_a_cut_one_is_refused() -> None:
    records = np.array([(512, 100, 3, 2**32 - 1), (2048, 7, -1, 0)], RECORD)
    raw = index_bytes(records)
    assert np.array_equal(parse_index(raw, "x.idx"), records)
    for end in (0, 8, 16, len(raw) - 1):
        with pytest.raises(TarnError, match=r"x\.idx"):
            parse_index(raw[:end], "x.idx")
