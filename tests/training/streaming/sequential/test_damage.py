"""Tars that are cut or damaged."""

import bz2
import gzip
import io
import lzma
import os
import shutil
import tarfile
import time
from pathlib import Path

import pytest

from support.sequential_tars import CUT, evaluated, keys_of, loader, read
from tarn.sharding.errors import TarnError


def places(whole: bytes) -> list[int]:
    """Where a cut hurts most: around every member's header, data and end, and in the end marker."""
    with tarfile.open(fileobj=io.BytesIO(whole)) as tar:
        found = {0, 1, 511, 512}
        for member in tar:
            for at in (member.offset, member.offset_data, member.offset_data + member.size):
                found |= {at, at + 1, at + 300, -(-at // 512) * 512}
        end = -(-(member.offset_data + member.size) // 512) * 512
    return sorted(at for at in found | {end, end + 1, end + 512, end + 1023} if at < end + 1024)


def test_a_cut_tar_is_an_error_that_names_it_wherever_it_is_cut(small: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x.tar"
    path.write_bytes(small)
    assert len(keys_of(evaluated(path, 3, global_batch=3))) == 3
    cuts = places(small)
    assert len(cuts) > 50
    for at in cuts:
        for name, data in (("x.tar", small[:at]), ("x.tar.gz", gzip.compress(small[:at], 1))):
            path = tmp_path / name
            path.write_bytes(data)
            with pytest.raises(TarnError, match=CUT) as caught:
                evaluated(path, 3, global_batch=3)
            assert str(path) in str(caught.value), at


def test_cut_compressed_bytes_are_an_error_that_names_the_tar(small: bytes, tmp_path: Path) -> None:
    for method, whole in (("gzip", gzip.compress(small)), ("bzip2", bz2.compress(small)), ("xz", lzma.compress(small))):
        for at in (20, len(whole) // 3, len(whole) - 12, len(whole) - 1):
            path = tmp_path / f"{method}.tar"
            path.write_bytes(whole[:at])
            with pytest.raises(TarnError, match=rf"{method}\.tar is cut or damaged \({method}: "):
                evaluated(path, 3, global_batch=3)


def test_training_never_passes_over_a_cut_tar(tars: str, tmp_path: Path) -> None:
    for path in Path(tars).parent.iterdir():
        shutil.copy(path, tmp_path)
    victim = tmp_path / "t-04.tar.gz"
    plain = gzip.decompress(victim.read_bytes())
    with tarfile.open(fileobj=io.BytesIO(plain)) as tar:
        middle = [member for member in tar if member.name.endswith(".jpg")][10]
    victim.write_bytes(gzip.compress(plain[: middle.offset]))  # between the label and the picture
    for workers in (0, 3):
        started = time.monotonic()
        with pytest.raises(TarnError, match=r"t-04\.tar\.gz: it ends at byte"):
            read(loader(f"{tmp_path}/t-{{00..05}}.tar.gz", num_workers=workers))
        assert time.monotonic() - started < 60


@pytest.mark.parametrize("block", [0, 1, 4, 5])
def test_a_broken_header_is_an_error_where_the_library_alone_would_take_it_for_the_end(
    small: bytes, tmp_path: Path, block: int
) -> None:
    with tarfile.open(fileobj=io.BytesIO(small)) as tar:
        at = tar.getmembers()[block].offset
    path = tmp_path / "x.tar"
    for damaged in (small[: at + 3] + b"\xff" + small[at + 4 :], small[:at] + bytes(512) + small[at + 512 :]):
        path.write_bytes(damaged)
        with pytest.raises(TarnError, match=rf"x\.tar: .*{CUT}|x\.tar: data follow"):
            evaluated(path, 3, global_batch=3)


@pytest.mark.parametrize("content", [b"", b"<html>not found</html>" * 100, bytes(10240), os.urandom(3000)])
def test_what_is_no_tar_is_an_error_that_names_it(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.tar.gz"
    path.write_bytes(content)
    told = "hold 0 samples" if content == bytes(10240) else r"x\.tar\.gz: "
    with pytest.raises(TarnError, match=told):
        evaluated(path)
    with pytest.raises(TarnError, match=told.replace("hold 0", "hold no")):
        read(loader([str(path)]))


def test_a_missing_tar_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(TarnError, match=r"x\.tar cannot be read \(it is not there\)"):
        evaluated(tmp_path / "x.tar")
