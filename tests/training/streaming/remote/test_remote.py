"""Streaming from a real object store and a real web server, through a proxy that injects faults."""

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from servers.nginx import Nginx
from servers.proxy import Proxy
from servers.s3 import S3Server
from support.loaders import shard_loader
from tarn.sharding.__main__ import main as sharding_main
from tarn.sharding.errors import TarnError
from tarn.sharding.format.manifest import read_manifest
from tarn.training.streaming import Batch, ShardLoader

Batches = list[tuple[tuple[str, ...], bytes]]


def loader(url: str, **more: Any) -> ShardLoader:
    settings = {"global_batch": 24, "image_size": 16, "lanes": 2, "active_shards": 4, "num_workers": 1, "keys": True}
    return shard_loader(url, **{**settings, **more})


def seen(batch: Batch) -> tuple[tuple[str, ...], bytes]:
    return batch.keys, batch.images.numpy().tobytes()


def batches(one: ShardLoader) -> Batches:
    found = [seen(batch) for batch in one]
    one.close()
    return found


@pytest.fixture
def remote(bucket: str, s3: S3Server, s3_env: dict[str, str], shards: Path) -> str:
    """The packed dataset in the object store."""
    s3.put_tree(bucket, shards)
    return bucket


@pytest.fixture(scope="module")
def expected(shards: Path) -> Batches:
    return batches(loader(str(shards)))


CACHES: list[Callable[[Path], str]] = [lambda folder: str(folder / "cache"), lambda folder: "none"]
caches = pytest.mark.parametrize("cache", CACHES, ids=["cached", "by range"])


@caches
@pytest.mark.parametrize("client", ["obstore", "fsspec"])
def test_batches_from_an_object_store_are_those_of_a_local_disk(
    remote: str, expected: Batches, tmp_path: Path, cache: Callable[[Path], str], client: str
) -> None:
    one = loader(remote, cache=cache(tmp_path), client=client)
    assert batches(one) == expected


@caches
@pytest.mark.parametrize(
    ("fault", "counters"),
    [
        ({"kind": "status", "times": 3, "code": 503}, {"retries"}),
        ({"kind": "status", "times": 3, "code": 429}, {"retries"}),
        ({"kind": "refuse", "times": 3}, {"retries"}),
        ({"kind": "rst", "times": 3}, {"retries", "resumed"}),
        ({"kind": "fin", "times": 3}, {"retries", "resumed"}),
        ({"kind": "shortlen", "times": 2}, {"retries", "resumed"}),
        ({"kind": "stall", "times": 1}, {"retries", "resumed"}),
    ],
    ids=lambda value: value["kind"] + str(value.get("code", "")) if "kind" in value else "",
)
def test_a_passing_fault_is_recovered_from_and_counted(
    remote: str,
    proxy: Proxy,
    expected: Batches,
    tmp_path: Path,
    cache: Callable[[Path], str],
    fault: dict[str, Any],
    counters: set[str],
) -> None:
    one = loader(remote, cache=cache(tmp_path), deadline=16.0)
    proxy.fault(**fault, match=".tar")
    found = batches(one)
    assert found == expected
    assert [request.outcome for request in proxy.log].count(fault["kind"]) == fault["times"]
    assert sum(one.take_counters().get(name, 0) for name in counters) >= 1 or fault["kind"] == "stall"


def test_a_dropped_connection_goes_on_at_the_byte_where_it_broke(
    remote: str, proxy: Proxy, expected: Batches, tmp_path: Path, shards: Path
) -> None:
    info = read_manifest(str(shards)).split("train").shards[0]
    at = 3 * info.bytes // 4
    proxy.fault("rst", times=1, match=info.name, at=at, after=0)
    one = loader(remote, cache=str(tmp_path / "cache"))
    while not (tmp_path / "cache" / f"{info.sha256}.bin").exists():
        next(iter(one))  # its range requests are smaller: the fault waits for the whole shard's
    starts = [
        int((request.range or "bytes=0-").split("=")[1].split("-")[0])
        for request in proxy.log
        if info.name in request.path
    ]
    one.close()
    assert [start for start in starts if start >= at - 2**16 and start <= at]


def test_a_flipped_byte_never_reaches_the_cache(remote: str, proxy: Proxy, expected: Batches, tmp_path: Path) -> None:
    one = loader(remote, cache=str(tmp_path / "cache"))
    proxy.fault("corrupt", times=2, match=".tar")
    assert batches(one) == expected
    assert [request.outcome for request in proxy.log].count("corrupt") == 2


@caches
@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ({"kind": "status", "times": None, "code": 503}, r"gave up after \d+ attempts.*503"),
        (
            {"kind": "status", "times": None, "code": 403},
            r"gave up after 1 attempt\b.*access was refused \(403",
        ),
        ({"kind": "corrupt", "times": None, "at": 700}, "SHA-256|CRC-32|manifest"),
    ],
    ids=["503", "403", "corrupt"],
)
def test_a_lasting_fault_is_one_error_that_names_url_and_attempts(
    remote: str, proxy: Proxy, tmp_path: Path, cache: Callable[[Path], str], fault: dict[str, Any], told: str
) -> None:
    one = loader(remote, cache=cache(tmp_path), deadline=8.0)
    proxy.fault(**fault, match="/train-")
    with pytest.raises(TarnError, match=told) as caught:
        batches(one)
    assert f"{remote}/train/train-00000" in str(caught.value)
    one.close()


@caches
def test_a_vanished_shard_is_one_error_that_names_it(
    remote: str, s3: S3Server, tmp_path: Path, cache: Callable[[Path], str]
) -> None:
    one = loader(remote, cache=cache(tmp_path))
    s3.delete(f"{remote}/train/train-000001.tar")
    with pytest.raises(TarnError, match=r"train-000001\.tar cannot be read \(gave up after 1 attempt: it is not there"):
        batches(one)
    one.close()


def test_the_first_batch_comes_before_any_shard_is_whole(remote: str, proxy: Proxy, tmp_path: Path) -> None:
    one = loader(remote, cache=str(tmp_path / "cache"))
    proxy.rate = 400_000
    next(iter(one))
    assert not [path for path in (tmp_path / "cache").glob("*.bin") if path.stat().st_size > 100_000]
    assert [request for request in proxy.log if request.range and request.path.endswith(".tar")]
    one.close()


def test_no_shard_is_asked_for_before_the_pictures_of_the_first_batch(
    remote: str, proxy: Proxy, tmp_path: Path
) -> None:
    proxy.delay = 0.3  # the fetcher is there before they are
    one = loader(remote, cache=str(tmp_path / "cache"))
    next(iter(one))
    whole = {f"bytes=0-{info.bytes - 1}" for info in read_manifest(remote).split("train").shards}
    deadline = time.monotonic() + 60
    while not whole.intersection(asked := [request.range for request in proxy.log if request.path.endswith(".tar")]):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    one.close()
    assert not whole.intersection(asked[:24])


def test_the_first_batch_takes_its_indexes_from_the_one_file_that_has_them_all(
    remote: str, proxy: Proxy, expected: Batches, tmp_path: Path
) -> None:
    one = loader(remote, cache=str(tmp_path / "cache"))
    assert seen(next(iter(one))) == expected[0]
    asked = [request.path.rsplit("/", 1)[1] for request in proxy.log]
    assert asked.count("train.indexes") == 1
    assert not [name for name in asked if name.endswith(".idx")]
    one.close()


@pytest.mark.parametrize("damage", ["missing", "of another packing", "unreachable"])
def test_without_a_right_file_of_all_indexes_each_is_read(
    remote: str, proxy: Proxy, s3: S3Server, shards: Path, expected: Batches, tmp_path: Path, damage: str
) -> None:
    if damage == "missing":
        s3.delete(f"{remote}/train.indexes")
    elif damage == "unreachable":
        proxy.fault("status", times=100, code=500, match="train.indexes")
    else:
        s3.put(f"{remote}/train.indexes", (shards / "train.indexes").read_bytes()[::-1])
    one = loader(remote, cache=str(tmp_path / "cache"))
    assert batches(one) == expected
    assert [request for request in proxy.log if request.path.endswith(".idx")]


def test_a_warm_cache_asks_for_nothing(remote: str, proxy: Proxy, expected: Batches, tmp_path: Path) -> None:
    first = loader(remote, cache=str(tmp_path / "cache"))
    assert batches(first) == expected
    wait_until_whole(tmp_path / "cache", read_manifest(remote).split("train").bytes, remote)
    seen = len(proxy.log)
    second = loader(remote, cache=str(tmp_path / "cache"))
    assert batches(second) == expected
    assert [request.path for request in proxy.log[seen:] if "train-" in request.path] == []


def wait_until_whole(cache: Path, size: int, remote: str) -> None:
    """The loader that brought the shards may have been closed before the last: another one brings the rest."""
    one = loader(remote, cache=str(cache))
    deadline = time.monotonic() + 60
    while sum(path.stat().st_size for path in cache.glob("*.bin")) < size:
        next(iter(one))
        assert time.monotonic() < deadline
        time.sleep(0.02)
    one.close()


@pytest.mark.parametrize("limit", ["1kB", "1500kB"])
def test_a_limit_smaller_than_a_shard_or_than_the_window_changes_no_batch(
    remote: str, expected: Batches, tmp_path: Path, limit: str
) -> None:
    one = loader(remote, cache=str(tmp_path / "cache"), cache_limit=limit)
    assert batches(one) == expected
    assert sum(path.stat().st_size for path in (tmp_path / "cache").glob("*")) < 1_600_000


def test_two_ranks_of_a_host_bring_each_shard_once(remote: str, proxy: Proxy, tmp_path: Path) -> None:
    ranks = [loader(remote, cache=str(tmp_path / "cache"), rank=rank, world_size=2, lanes=1) for rank in range(2)]
    for _ in zip(*ranks, strict=True):
        pass
    wait_until_whole(tmp_path / "cache", read_manifest(remote).split("train").bytes, remote)
    for one in ranks:
        one.close()
    for info in read_manifest(remote).split("train").shards:
        whole = f"bytes=0-{info.bytes - 1}"
        asked = [request for request in proxy.log if request.path.endswith(info.name) and request.range == whole]
        assert len(asked) == 1


def test_credentials_and_endpoint_come_from_storage_options_too(
    remote: str, s3: S3Server, expected: Batches, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = s3.env
    for name in told:
        monkeypatch.delenv(name, raising=False)
    options = {
        "key": told["AWS_ACCESS_KEY_ID"],
        "secret": told["AWS_SECRET_ACCESS_KEY"],
        "endpoint_url": told["AWS_ENDPOINT_URL"],
        "client_kwargs": {"region_name": told["AWS_REGION"]},
    }
    assert batches(loader(remote, storage_options=options, cache="none")) == expected


def test_the_store_may_restart_in_the_middle_of_an_epoch(
    own_s3: S3Server, shards: Path, expected: Batches, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = own_s3.make_bucket("restart")
    own_s3.put_tree(url, shards)
    for name, value in own_s3.env.items():
        monkeypatch.setenv(name, value)
    one = loader(url, cache="none", num_workers=1)
    found: Batches = []
    for batch in one:
        found.append((batch.keys, batch.images.numpy().tobytes()))
        if len(found) == 1:
            own_s3.restart()
    one.close()
    assert found == expected


def test_packing_to_an_object_store_gives_the_bytes_of_packing_to_a_disk(
    bucket: str, s3: S3Server, s3_env: dict[str, str], pictures: Path, shards: Path
) -> None:
    assert sharding_main(["pack", str(pictures), f"{bucket}/set", "--shard-size", "1MB", "--workers", "1"]) == 0
    for path in shards.rglob("*.*"):
        assert s3.get(f"{bucket}/set/{path.relative_to(shards)}") == path.read_bytes()
    assert sharding_main(["verify", f"{bucket}/set"]) == 0


@caches
def test_a_web_server_with_ranges_serves_the_same_batches(
    nginx: Nginx, shards: Path, expected: Batches, tmp_path: Path, cache: Callable[[Path], str]
) -> None:
    folder = nginx.folder / tmp_path.name
    shutil.copytree(shards, folder)
    assert batches(loader(f"{nginx.url}{folder.name}", cache=cache(tmp_path))) == expected


def test_a_web_server_without_ranges_is_told_as_such(nginx: Nginx, shards: Path, tmp_path: Path) -> None:
    folder = nginx.folder / tmp_path.name
    shutil.copytree(shards, folder)
    one = loader(f"{nginx.plain_url}{folder.name}", cache="none")
    with pytest.raises(TarnError, match=r"1 attempt\b.*does not serve ranges of files"):
        batches(one)
    one.close()
