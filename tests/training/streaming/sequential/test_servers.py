"""Tars on web servers and in object stores, whole and faulty."""

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from servers.nginx import Nginx
from servers.proxy import Proxy
from servers.s3 import S3Server
from support.sequential_tars import Picture, loader, members, read, tar_of
from tarn.sharding.errors import TarnError


@pytest.fixture
def served(nginx: Nginx, tars: str, tmp_path: Path) -> str:
    """The pattern below the web server's root."""
    shutil.copytree(Path(tars).parent, nginx.folder / tmp_path.name)
    return f"{tmp_path.name}/{Path(tars).name}"


@pytest.mark.parametrize("workers", [0, 2])
def test_web_servers_with_and_without_ranges_serve_the_same_batches(
    nginx: Nginx, served: str, tars: str, workers: int
) -> None:
    expected = read(loader(tars, num_workers=workers))
    assert read(loader(nginx.plain_url + served, num_workers=workers)) == expected
    assert read(loader(nginx.url + served, num_workers=workers)) == expected


@pytest.mark.parametrize("plain", ["", "/plain"], ids=["ranges", "no ranges"])
@pytest.mark.parametrize("kind", ["rst", "fin", "stall", "refuse", "status"])
def test_a_connection_that_breaks_is_made_again_and_no_byte_is_lost(
    nginx_proxy: Proxy, served: str, tars: str, kind: Any, plain: str
) -> None:
    expected = read(loader(tars))
    at = None if kind in ("refuse", "status") else 20_000
    nginx_proxy.fault(kind, times=3, at=at, match="t-0")
    assert read(loader(f"{nginx_proxy.endpoint}{plain}/{served}", deadline=8.0)) == expected
    log = nginx_proxy.log
    assert [request.outcome for request in log].count(kind) == 3
    if at:
        resumed = [request for request in log if request.range]
        assert resumed or kind != "stall"  # a broken connection may take the bytes before along
        assert all((request.status == 200) == bool(plain) for request in resumed if request.outcome == "pass")


@pytest.mark.parametrize(
    ("code", "told"),
    [(503, "gave up after 8 attempts: 503"), (403, r"gave up after 1 attempt: access was refused \(403\)")],
)
def test_a_server_that_never_answers_rightly_is_one_error_that_names_the_tar(
    nginx_proxy: Proxy, served: str, code: int, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tarn.sharding.storage.persistence.Patience.pause", lambda self, attempt: 0.01)
    nginx_proxy.fault("status", times=None, code=code, match="t-03")
    with pytest.raises(TarnError, match=rf"t-03\.tar\.gz cannot be read \({told}"):
        read(loader(f"{nginx_proxy.endpoint}/plain/{served}"))


def test_a_tar_that_is_not_on_the_server_is_told_by_a_worker_in_one_sentence(nginx: Nginx, served: str) -> None:
    urls = nginx.plain_url + served.replace("{00..05}", "{04..07}")
    with pytest.raises(
        TarnError, match=r"t-0[67]\.tar\.gz cannot be read \(gave up after 1 attempt: it is not there\)"
    ):
        read(loader(urls, num_workers=2))


def test_a_tar_that_is_replaced_while_it_is_read_is_an_error(
    nginx: Nginx, nginx_proxy: Proxy, source: list[Picture], tmp_path: Path
) -> None:
    path = nginx.folder / f"{tmp_path.name}.tar"
    path.write_bytes(tar_of(pair for picture in source for pair in members(*picture)))
    assert path.stat().st_size > 400_000
    nginx_proxy.fault("stall", times=1, at=300_000)
    one = loader([f"{nginx_proxy.endpoint}/{path.name}"], deadline=8.0, global_batch=1, shuffle_buffer=0)
    batches = iter(one)
    next(batches)
    path.write_bytes(tar_of(pair for picture in reversed(source) for pair in members(*picture)))
    os.utime(path, (1, 1))
    with pytest.raises(TarnError, match=r"\.tar changed while it was read: start again"):
        list(batches)


def test_compressed_tars_stream_from_an_object_store(
    bucket: str, s3: S3Server, s3_env: dict[str, str], tars: str
) -> None:
    s3.put_tree(f"{bucket}/set", Path(tars).parent)
    assert read(loader(f"{bucket}/set/{Path(tars).name}", num_workers=1)) == read(loader(tars, num_workers=1))
