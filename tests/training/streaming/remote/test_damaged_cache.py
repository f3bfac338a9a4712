"""Caches that lost or turned bytes, that cannot be written, that are full: what is right there is served, and the rest
comes from the store."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.loaders import shard_loader
from support.web import Web, served
from tarn.sharding.format.manifest import ShardInfo, read_manifest
from tarn.training.streaming import ShardLoader
from tarn.training.streaming.plan import StreamPlan
from tarn.training.streaming.processes.shared import anonymous_file
from tarn.training.streaming.remote import source as remote_source
from tarn.training.streaming.remote.cache import ShardCache
from tarn.training.streaming.remote.claims import Claims
from tarn.training.streaming.remote.source import RemoteSource
from tarn.training.streaming.remote.traffic import COMING, Traffic
from tarn.training.streaming.sources import LocalSource, Place

SETTINGS = {"global_batch": 24, "image_size": 16, "lanes": 2, "active_shards": 4, "keys": True}
Batches = list[tuple[tuple[str, ...], bytes]]


@pytest.fixture
def web(shards: Path) -> Iterator[Web]:
    with served(shards) as web:
        yield web


def batches(loader: ShardLoader) -> Batches:
    return [(batch.keys, batch.images.numpy().tobytes()) for batch in loader]


@pytest.fixture(scope="module")
def expected(shards: Path) -> Batches:
    loader = shard_loader(str(shards), num_workers=0, **SETTINGS)
    return batches(loader)


@pytest.fixture
def infos(shards: Path) -> tuple[ShardInfo, ...]:
    return read_manifest(str(shards)).split("train").shards


def fill(cache: Path, shards: Path, infos: tuple[ShardInfo, ...]) -> None:
    """The cache as a sound run leaves it."""
    cache.mkdir(exist_ok=True)
    for info in infos:
        shutil.copy(shards / info.name, cache / f"{info.sha256}.bin")
        shutil.copy(shards / info.index_name, cache / f"{info.index_sha256}.bin")


def is_sound(path: Path) -> bool:
    return path.exists() and hashlib.sha256(path.read_bytes()).hexdigest() == path.stem


def emptied(data: bytes) -> bytes:
    return b""


def cut(data: bytes) -> bytes:
    return data[: len(data) // 3]


def zeros(data: bytes) -> bytes:
    return bytes(len(data))


def flipped(data: bytes) -> bytes:
    """A bit of every page is wrong: no picture of several pages is spared."""
    return b"".join(bytes([data[at] ^ 1]) + data[at + 1 : at + 4096] for at in range(0, len(data), 4096))


DAMAGES = pytest.mark.parametrize("damage", [emptied, cut, zeros, flipped])


@DAMAGES
def test_a_damaged_shard_is_read_from_the_store_at_once_and_fetched_again(
    web: Web,
    shards: Path,
    expected: Batches,
    infos: tuple[ShardInfo, ...],
    tmp_path: Path,
    damage: Callable[[bytes], bytes],
) -> None:
    fill(tmp_path / "cache", shards, infos)
    victim = tmp_path / "cache" / f"{infos[1].sha256}.bin"
    victim.write_bytes(damage(victim.read_bytes()))
    loader = shard_loader(web.url, num_workers=1, cache=str(tmp_path / "cache"), **SETTINGS)
    assert batches(loader) == expected
    deadline = time.monotonic() + 20
    while not is_sound(victim):
        assert time.monotonic() < deadline, "the shard was not fetched again"
        time.sleep(0.02)
    assert loader.take_warnings() == []
    loader.close()
    tars = {path for path, _ in web.asked if path.endswith(".tar")}
    assert tars == {f"/{infos[1].name}"}


@pytest.fixture
def reader(web: Web, shards: Path, tmp_path: Path, infos: tuple[ShardInfo, ...]) -> Iterator[RemoteSource]:
    """Of a rank whose fetcher says that all shards are coming, and which has read by range as much as it may."""
    fill(tmp_path / "cache", shards, infos)
    loader = shard_loader(web.url, num_workers=0, cache=str(tmp_path / "cache"), **SETTINGS)
    plan: StreamPlan = loader.plan
    traffic = Traffic(plan, 2, anonymous_file(0))
    traffic.state[:] = COMING
    traffic.moved[1] = 10**12
    yield RemoteSource(plan.root, plan.tars, plan.shards, plan.access, traffic, 1)
    loader.close()


@DAMAGES
def test_a_reader_that_has_the_file_open_does_not_wait_for_it_to_mend(
    reader: RemoteSource,
    shards: Path,
    infos: tuple[ShardInfo, ...],
    damage: Callable[[bytes], bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert reader.cache is not None
    places: list[Place] = [(shard, place) for shard, info in enumerate(infos) for place in range(info.samples)]
    local = [sample.raw for sample in LocalSource(str(shards), str(shards), infos).read(places)]
    assert [sample.raw for sample in reader.read(places)] == local
    victim = reader.cache.path(infos[0].sha256)
    victim.write_bytes(damage(victim.read_bytes()))  # the same file: it stays open in the reader
    monkeypatch.setattr(remote_source.time, "sleep", lambda seconds: pytest.fail("waited for a shard"))
    assert [bytes(sample.picture) for sample in reader.read(places)] == [raw[512:] for raw in local]
    assert not victim.exists()
    assert reader.counters["wrong_cached"] == 1
    assert 0 < (asked := reader.counters["range_samples"]) <= infos[0].samples
    shutil.copy(shards / infos[0].name, victim)
    assert [sample.raw for sample in reader.read(places)] == local
    assert reader.counters["range_samples"] == asked


@DAMAGES
def test_a_damaged_index_is_read_from_the_store_and_put_in_place(
    reader: RemoteSource, infos: tuple[ShardInfo, ...], damage: Callable[[bytes], bytes]
) -> None:
    assert reader.cache is not None
    victim = reader.cache.path(infos[0].index_sha256)
    victim.write_bytes(damage(victim.read_bytes()))
    reader.load_indexes({0, 1})
    assert len(reader.indexes[0]) == infos[0].samples
    assert is_sound(victim)
    assert reader.counters["requests"] == 1


def test_a_file_that_somebody_else_mended_meanwhile_is_left_alone(tmp_path: Path) -> None:
    cache, digest = ShardCache(tmp_path, 1000), hashlib.sha256(b"right").hexdigest()
    cache.path(digest).write_bytes(b"wrong")
    file = os.open(cache.path(digest), os.O_RDONLY)
    (tmp_path / "new").write_bytes(b"right")
    (tmp_path / "new").rename(cache.path(digest))
    cache.remove_damaged(digest, file)
    assert cache.path(digest).read_bytes() == b"right"
    os.close(file)


def test_a_shard_is_on_the_disk_before_it_gets_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache, claims, data = ShardCache(tmp_path, 10_000), Claims(tmp_path), b"x" * 5000
    digest, flushed, fsync = hashlib.sha256(data).hexdigest(), [], os.fsync

    def noting(file: int) -> None:
        flushed.append((os.fstat(file).st_size, cache.path(digest).exists()))
        fsync(file)

    monkeypatch.setattr(os, "fsync", noting)
    assert cache.fetch(digest, len(data), lambda at: [data[at:]], claims)
    assert flushed == [(5000, False)]
    claims.close()


READING = """
import json, sys
from tarn.training.streaming import AccessConfig, OrderConfig, ShardLoader
loader = ShardLoader(sys.argv[1], global_batch=24, image_size=16, num_workers=1, keys=True,
                     order=OrderConfig(lanes=2, active_shards=4), access=AccessConfig(cache=sys.argv[2]))
keys = [key for epoch in range(2) for batch in (loader.set_epoch(epoch), *loader)[1:] for key in batch.keys]
print(json.dumps({"keys": keys, "warnings": loader.take_warnings(), "counters": loader.take_counters()}))
"""
NO_MASTER = "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-dac_override,-dac_read_search"


@pytest.mark.parametrize("filled", [True, False], ids=["half filled", "empty"])
def test_a_cache_that_cannot_be_written_serves_what_it_has_and_warns_once(
    web: Web, shards: Path, expected: Batches, infos: tuple[ShardInfo, ...], tmp_path: Path, filled: bool
) -> None:
    if os.getuid() == 0 and shutil.which("setpriv") is None:
        pytest.skip("root may write everywhere; without setpriv that cannot be taken from it")
    cache = tmp_path / "cache"
    here = infos[::2] if filled else ()
    fill(cache, shards, here)
    for path in (*cache.iterdir(), cache):
        path.chmod(0o555 if path.is_dir() else 0o444)
    before = sorted(cache.iterdir())
    drop = ["setpriv", *NO_MASTER] if os.getuid() == 0 else []
    done = subprocess.run(
        [*drop, sys.executable, "-c", READING, web.url, str(cache)], capture_output=True, text=True, check=False
    )
    cache.chmod(0o755)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    told = json.loads(done.stdout)
    assert told["keys"][: len(told["keys"]) // 2] == [key for keys, _ in expected for key in keys]
    (warning,) = told["warnings"]
    assert f"the cache {cache} cannot be written (Permission denied)" in warning
    assert sorted(cache.iterdir()) == before
    tars = {path for path, _ in web.asked if path.endswith(".tar")}
    assert tars == {f"/{info.name}" for info in infos if info not in here}


def test_a_full_disk_serves_what_it_has_and_warns_once(
    web: Web, expected: Batches, infos: tuple[ShardInfo, ...], tmp_path: Path
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    size = sum(info.bytes for info in infos[:2]) // 1024 + 40
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}k", "tmpfs", str(disk)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("mounting a small file system needs root")
    try:
        (disk / "other").write_bytes(bytes(infos[0].bytes // 2))
        loader = shard_loader(web.url, num_workers=1, cache=str(disk), cache_limit="1GB", **SETTINGS)
        assert batches(loader) == expected
        assert any(path.suffix == ".bin" for path in disk.iterdir())
        (warning,) = loader.take_warnings()
        assert f"the cache {disk} is full" in warning
        (disk / "more").write_bytes(bytes(10))
        loader.close()
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_claims_that_cannot_be_written_are_kept_to_oneself(tmp_path: Path) -> None:
    (tmp_path / "claims").write_text("no folder")
    claims = Claims(tmp_path)
    claims.update({"a": 0.5})
    assert claims.distances() == {"a": 0.5}
    claims.close()
