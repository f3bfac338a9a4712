"""What verify tells of tars that changed after they were indexed."""

import hashlib
from dataclasses import replace
from pathlib import Path

from support.foreign_tars import dataset
from tarn.sharding.foreign.index import IndexConfig, index
from tarn.sharding.format.manifest import Manifest, Split
from tarn.sharding.verify import verify


def test_verify_tells_every_kind_of_damage(tmp_path: Path) -> None:
    root = dataset(tmp_path / "in")
    manifest = index(str(root), IndexConfig()).manifest
    paths = sorted(root.glob("*.tar"))
    for place, path in enumerate(paths[:3]):
        raw = bytearray(path.read_bytes())
        raw[(600, 100, len(raw) - 1)[place]] ^= 1
        path.write_bytes(raw)
    paths[3].write_bytes(paths[3].read_bytes()[:-1])
    found = verify(str(root), manifest)
    assert len(found) == 4
    for problem, told in zip(
        found, ("have the SHA-256", "have its checksum", "data follow its end", "says"), strict=True
    ):
        assert told in problem


def test_verify_finds_an_index_that_is_not_of_its_tar(tmp_path: Path) -> None:
    root = dataset(tmp_path / "in")
    manifest = index(str(root), IndexConfig()).manifest
    path = root / "my-val-0000.idx"
    raw = bytearray(path.read_bytes())
    raw[16] ^= 1
    path.write_bytes(raw)
    assert [told for told in verify(str(root), manifest) if "my-val-0000.idx does not have the SHA-256" in told]
    val = manifest.split("val")
    shard = replace(val.shards[0], index_sha256=hashlib.sha256(raw).hexdigest())
    forged = Split((shard,), val.packed)
    gathered, told = verify(str(root), Manifest(manifest.classes, {"val": forged}))
    assert "val.indexes does not hold the indexes" in gathered
    assert "does not hold the places and labels" in told
