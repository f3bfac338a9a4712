"""What an index must hold, and what a refusal must leave alone."""

import hashlib
import tarfile
import zlib
from pathlib import Path
from typing import Any

import pytest

from tarn.sharding.errors import TarnError
from tarn.sharding.foreign.index import IndexConfig, Indexed, index
from tarn.sharding.format.manifest import parse_index


def pictures_by_index(done: Indexed, tars: Path | None = None) -> dict[str, list[tuple[str, bytes, int]]]:
    """Key, bytes and label of every sample, read where the index says; the key from tarfile, by the same place."""
    found: dict[str, list[tuple[str, bytes, int]]] = {}
    for split, told in done.manifest.splits.items():
        for shard in told.shards:
            path = (tars or Path(done.manifest.shards_root(done.root))) / shard.name
            raw = path.read_bytes()
            assert (len(raw), hashlib.sha256(raw).hexdigest()) == (shard.bytes, shard.sha256)
            index_raw = (Path(done.root) / shard.index_name).read_bytes()
            assert hashlib.sha256(index_raw).hexdigest() == shard.index_sha256
            with tarfile.open(path) as tar:
                names = {(member.offset_data, member.size): member.name for member in tar}
            for offset, size, label, crc32 in parse_index(index_raw, str(path)).tolist():
                assert tarfile.TarInfo.frombuf(raw[offset - 512 : offset], "utf-8", "strict").size == size
                folder, slash, base = names[offset, size].rpartition("/")
                key, data = folder + slash + base.split(".")[0], raw[offset : offset + size]
                assert crc32 == zlib.crc32(data)
                found.setdefault(split, []).append((key, data, label))
    return found


def contents(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def refused(root: Path, told: str, **options: Any) -> str:
    """The message of the error, after which nothing is published."""
    before = contents(root)
    with pytest.raises(TarnError, match=told) as caught:
        index(str(root), IndexConfig(**options))
    assert contents(root) == before
    return str(caught.value)
