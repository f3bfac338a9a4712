import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tarn.training.streaming.remote.cache import NoRoomError, ShardCache, WrongBytesError
from tarn.training.streaming.remote.claims import Claims


def shard(number: int, size: int = 1000) -> tuple[str, bytes]:
    data = bytes([number]) * size
    return hashlib.sha256(data).hexdigest(), data


def bring(cache: ShardCache, claims: Claims, digest: str, data: bytes, log: list[int] | None = None) -> bool:
    def stream(at: int) -> Iterator[bytes]:
        if log is not None:
            log.append(at)
        for begin in range(at, len(data), 300):
            yield data[begin : begin + 300]

    return cache.fetch(digest, len(data), stream, claims)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {"claims", "lock"}


@pytest.fixture
def claims(tmp_path: Path) -> Iterator[Claims]:
    told = Claims(tmp_path)
    yield told
    told.close()


def test_a_file_is_there_under_its_digest_when_all_of_it_is(tmp_path: Path, claims: Claims) -> None:
    cache, (digest, data), asked = ShardCache(tmp_path, 10_000), shard(1), []
    assert bring(cache, claims, digest, data, asked)
    assert cache.path(digest).read_bytes() == data
    assert bring(cache, claims, digest, data, asked)
    assert asked == [0]
    assert names(tmp_path) == {cache.path(digest).name}


def test_wrong_bytes_never_get_the_name_and_leave_nothing(tmp_path: Path, claims: Claims) -> None:
    cache, (digest, data) = ShardCache(tmp_path, 10_000), shard(1)
    for bad in (data[:-1], data[:500] + b"x" + data[501:], data + b"x"):
        with pytest.raises(WrongBytesError):
            cache.fetch(digest, len(data), lambda at, bad=bad: [bad[at:]], claims)
        assert names(tmp_path) == set()
    assert bring(cache, claims, digest, data)


def test_a_broken_stream_leaves_its_bytes_and_the_next_one_goes_on_there(tmp_path: Path, claims: Claims) -> None:
    cache, (digest, data) = ShardCache(tmp_path, 10_000), shard(1)

    def breaking(at: int) -> Iterator[bytes]:
        yield data[at:700]
        raise NetworkTimeoutError

    with pytest.raises(NetworkTimeoutError):
        cache.fetch(digest, len(data), breaking, claims)
    asked: list[int] = []
    assert bring(cache, claims, digest, data, asked)
    assert asked == [700]
    assert cache.path(digest).read_bytes() == data


class NetworkTimeoutError(Exception):
    pass


def test_what_no_run_needs_goes_first_then_what_is_needed_last(tmp_path: Path, claims: Claims) -> None:
    cache = ShardCache(tmp_path, 3000)
    shards = [shard(number) for number in range(5)]
    digests = [digest for digest, _ in shards]
    for digest, data in shards[:3]:
        assert bring(cache, claims, digest, data)
    claims.update({digests[0]: 0.0, digests[1]: 0.9, digests[3]: 0.3, digests[4]: 0.5})
    assert bring(cache, claims, *shards[3])
    assert names(tmp_path) == {f"{digests[i]}.bin" for i in (0, 1, 3)}
    assert bring(cache, claims, *shards[4])
    assert names(tmp_path) == {f"{digests[i]}.bin" for i in (0, 3, 4)}
    claims.update({digests[0]: 0.0, digests[3]: 0.3, digests[4]: 0.5, digests[1]: 0.8})
    with pytest.raises(NoRoomError):
        bring(cache, claims, *shards[1])
    assert names(tmp_path) == {f"{digests[i]}.bin" for i in (0, 3, 4)}


def test_a_limit_smaller_than_a_shard_refuses_it_and_removes_nothing_needed(tmp_path: Path, claims: Claims) -> None:
    cache, (digest, data) = ShardCache(tmp_path, 999), shard(1)
    claims.update({digest: 0.0})
    with pytest.raises(NoRoomError):
        bring(cache, claims, digest, data)
    assert names(tmp_path) == set()


def test_another_run_s_needs_are_respected_until_it_dies(tmp_path: Path, claims: Claims) -> None:
    cache = ShardCache(tmp_path, 1000)
    (theirs, data), ours = shard(1), shard(2)
    assert bring(cache, claims, theirs, data)
    claims.update({ours[0]: 0.5})
    other = start(f"claims.update({{{theirs!r}: 0.0}}); print('ready', flush=True); time.sleep(60)", tmp_path)
    assert other.stdout is not None
    assert other.stdout.readline() == "ready\n"
    with pytest.raises(NoRoomError):
        bring(cache, claims, *ours)
    other.kill()
    other.wait()
    other.stdout.close()
    assert bring(cache, claims, *ours)
    assert len(list((tmp_path / "claims").iterdir())) == 1


def start(code: str, folder: Path) -> subprocess.Popen[str]:
    head = f"""
import hashlib, sys, time
from pathlib import Path
from tarn.training.streaming.remote.cache import ShardCache
from tarn.training.streaming.remote.claims import Claims
folder = Path({str(folder)!r})
claims, cache = Claims(folder), ShardCache(folder, 10**9)
"""
    return subprocess.Popen([sys.executable, "-c", head + code], stdout=subprocess.PIPE, text=True)


SLOW = """
data = bytes(range(256)) * 4000
digest = hashlib.sha256(data).hexdigest()
def stream(at):
    print("asked", at, flush=True)
    for begin in range(at, len(data), 4096):
        yield data[begin : begin + 4096]
        time.sleep(0.001)
print("got", cache.fetch(digest, len(data), stream, claims), flush=True)
"""


def test_killed_at_any_moment_it_goes_on_and_ends_whole(tmp_path: Path, claims: Claims) -> None:
    data = bytes(range(256)) * 4000
    digest = hashlib.sha256(data).hexdigest()
    asked = []
    for delay in (0.02, 0.05, 0.11):
        process = start(SLOW, tmp_path)
        assert process.stdout is not None
        asked.append(int(process.stdout.readline().split()[1]))
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        assert not (tmp_path / f"{digest}.bin").exists()
    assert asked == sorted(asked)
    assert asked[-1] > 0
    rest: list[int] = []
    assert bring(ShardCache(tmp_path, 10**9), claims, digest, data, rest)
    assert rest[0] > asked[-1]
    assert (tmp_path / f"{digest}.bin").read_bytes() == data


def test_eight_processes_bring_a_shard_once(tmp_path: Path) -> None:
    processes = [start(SLOW, tmp_path) for _ in range(8)]
    told = [process.communicate()[0] for process in processes]
    assert sum(text.count("asked") for text in told) == 1
    assert sum("got True" in text for text in told) >= 1
    assert names(tmp_path) == {hashlib.sha256(bytes(range(256)) * 4000).hexdigest() + ".bin"}


def test_a_reader_keeps_the_file_that_is_evicted(tmp_path: Path, claims: Claims) -> None:
    cache = ShardCache(tmp_path, 1000)
    first, second = shard(1), shard(2)
    assert bring(cache, claims, *first)
    file = os.open(cache.path(first[0]), os.O_RDONLY)
    assert bring(cache, claims, *second)
    assert names(tmp_path) == {f"{second[0]}.bin"}
    assert os.pread(file, 1000, 0) == first[1]
    os.close(file)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 kB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)], check=False)
    if done.returncode:
        pytest.skip("mounting a small file system needs root")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_told_as_such_and_leaves_nothing(small_disk: Path) -> None:
    claims = Claims(small_disk)
    cache, (digest, data) = ShardCache(small_disk, 10**9), shard(1, 100_000)
    with pytest.raises(OSError, match="No space left"):
        bring(cache, claims, digest, data)
    assert names(small_disk) == set()
    claims.close()
