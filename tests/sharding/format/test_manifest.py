import json
from collections.abc import Callable
from typing import Any

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


MALFORMED: dict[str, Callable[[dict[str, Any]], object]] = {
    "splits is a list": lambda told: told.update(splits=[]),
    "splits is nothing": lambda told: told.update(splits=None),
    "a shard above": lambda told: told["splits"]["train"]["shards"][0].update(name="../x.tar"),
    "an absolute shard": lambda told: told["splits"]["train"]["shards"][0].update(name="/x/x.tar"),
    "an index above": lambda told: told["splits"]["train"]["shards"][0].update(index="a/../../x.idx"),
    "a split above": lambda told: told["splits"].update({"../x": told["splits"]["train"]}),
    "a report above": lambda told: told["splits"]["train"]["packed"].update(
        skipped={"pictures": 1, "report": "../x.jsonl", "sha256": "ab"}
    ),
    "no report": lambda told: told["splits"]["train"]["packed"].update(skipped={"pictures": 1}),
    "no name": lambda told: told["splits"]["train"]["shards"][0].update(name=None),
    "text for bytes": lambda told: told["splits"]["train"]["shards"][0].update(bytes="4096"),
    "fewer than none": lambda told: told["splits"]["train"]["shards"][0].update(samples=-1),
    "packed nohow": lambda told: told["splits"]["train"].update(packed=None),
    "a class without a name": lambda told: told["classes"][0].update(wnid=None),
}


@pytest.mark.parametrize("harm", MALFORMED)
def test_a_manifest_that_tarn_cannot_have_written_is_refused_and_nothing_it_names_is_touched(harm: str) -> None:
    told = json.loads(MANIFEST.to_json())
    MALFORMED[harm](told)
    with pytest.raises(TarnError, match=r"^bad\.json is not a Tarn manifest \("):
        Manifest.from_json(json.dumps(told), "bad.json")


def test_a_manifest_nested_without_end_is_refused() -> None:
    with pytest.raises(TarnError, match=r"^bad\.json is not a Tarn manifest \("):
        Manifest.from_json("[" * 200_000, "bad.json")
