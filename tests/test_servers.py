"""The servers that other tests rely on do what they say."""

import contextlib
import os
import select
import signal
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from servers import guard
from servers.client import fetch
from servers.nginx import Nginx
from servers.origin import CONTENT
from servers.proxy import Proxy
from servers.s3 import S3Server

# The object store


def test_s3_keeps_what_is_put(s3: S3Server, bucket: str, tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "b c.tar").write_bytes(b"1")
    (tmp_path / "a").write_bytes(b"2")
    s3.put_tree(f"{bucket}/tree", tmp_path)
    assert s3.keys(bucket) == s3.keys(f"{bucket}/tree/") == ["tree/a", "tree/train/b c.tar"]
    assert s3.get(f"{bucket}/tree/train/b c.tar") == b"1"
    s3.delete(f"{bucket}/tree/a")
    assert s3.keys(bucket) == ["tree/train/b c.tar"]


def test_s3_rejects_a_wrong_secret(s3: S3Server, bucket: str) -> None:
    from botocore.exceptions import ClientError

    with (
        contextlib.closing(s3.client_at(s3.endpoint, secret="wrong")) as client,
        pytest.raises(ClientError, match="SignatureDoesNotMatch"),
    ):
        client.list_objects_v2(Bucket=bucket.removeprefix("s3://"))


def test_s3_serves_ranges_through_the_proxy(s3: S3Server, bucket: str, proxy: Proxy) -> None:
    s3.put(f"{bucket}/key", CONTENT)
    name = bucket.removeprefix("s3://")
    with contextlib.closing(s3.client_at(proxy.endpoint)) as client:
        reply = client.get_object(Bucket=name, Key="key", Range="bytes=1000-1999")
        with reply["Body"] as body:
            assert body.read() == CONTENT[1000:2000]
    (request,) = proxy.log
    assert (request.method, request.path, request.range) == ("GET", f"/{name}/key", "bytes=1000-1999")
    assert (request.outcome, request.status, request.sent) == ("pass", 206, 1000)


def test_s3_is_written_through_the_proxy(s3: S3Server, bucket: str, proxy: Proxy) -> None:
    name = bucket.removeprefix("s3://")
    with contextlib.closing(s3.client_at(proxy.endpoint)) as client:
        client.put_object(Bucket=name, Key="kept", Body=CONTENT)
        client.put_object(Bucket=name, Key="gone", Body=b"")
        client.head_object(Bucket=name, Key="gone")
        client.delete_object(Bucket=name, Key="gone")
        assert client.list_objects_v2(Bucket=name)["KeyCount"] == 1
    assert s3.get(f"{bucket}/kept") == CONTENT
    mine = [request.method for request in proxy.log if name in request.path]  # others' processes may yet ask once more
    assert mine == ["PUT", "PUT", "HEAD", "DELETE", "GET"]


# In a process of its own: whoever has used these clients may no longer fork.
CLIENTS = """
import sys, fsspec, obstore
from obstore.store import S3Store
assert fsspec.filesystem("s3").cat_file(sys.argv[1] + "/key") == b"content"
assert obstore.get(S3Store.from_url(sys.argv[1]), "key").bytes() == b"content"
"""


@pytest.mark.usefixtures("s3_env")
def test_environment_leads_clients_to_s3(s3: S3Server, bucket: str) -> None:
    s3.put(f"{bucket}/key", b"content")
    subprocess.run([sys.executable, "-c", CLIENTS, bucket], check=True)


@pytest.mark.usefixtures("s3_env")
def test_environment_leads_clients_through_the_proxy(s3: S3Server, bucket: str, proxy: Proxy) -> None:
    s3.put(f"{bucket}/key", b"content")
    subprocess.run([sys.executable, "-c", CLIENTS, bucket], check=True)
    assert [request.sent for request in proxy.log if request.method == "GET"] == [7, 7]


def test_s3_keeps_its_data_when_restarted(own_s3: S3Server) -> None:
    bucket = own_s3.make_bucket("kept")
    own_s3.put(f"{bucket}/key", b"content")
    with Proxy(own_s3.endpoint) as proxy:
        own_s3.stop()
        with pytest.raises(ConnectionError):
            fetch(proxy.endpoint)
        assert proxy.log[0].outcome == "unreachable"
        own_s3.start()
        assert fetch(proxy.endpoint, "/healthcheck") == (200, b"OK")
    assert own_s3.get(f"{bucket}/key") == b"content"
    assert own_s3.keys(bucket) == ["key"]


# The web server


def test_nginx_serves_ranges_but_not_at_plain(nginx: Nginx, nginx_proxy: Proxy) -> None:
    path = f"{uuid.uuid4().hex}.tar"
    (nginx.folder / path).write_bytes(CONTENT)
    some = {"headers": {"Range": "bytes=5-9"}}
    assert fetch(nginx.endpoint, f"/{path}", **some) == (206, CONTENT[5:10])
    assert fetch(nginx.endpoint, f"/plain/{path}", **some) == (200, CONTENT)
    assert fetch(nginx_proxy.endpoint, f"/{path}", **some) == (206, CONTENT[5:10])
    assert fetch(nginx.endpoint, "/missing")[0] == 404


# Their end


def test_servers_end_with_a_killed_owner(tmp_path: Path) -> None:
    with subprocess.Popen(["sleep", "100"]) as owner:
        try:
            guard.start({"server": [sys.executable, "-c", SERVER_WITH_WORKER]}, tmp_path, owner.pid)
            guard.wait_for(lambda: len(said(tmp_path)) == 2, tmp_path)
            processes = [os.pidfd_open(int(pid)) for pid in said(tmp_path)]
        finally:
            owner.kill()
    for process in processes:
        assert ended(process)
        os.close(process)


def test_servers_end_with_a_killed_guard(tmp_path: Path) -> None:
    guard.start({"server": ["sleep", "100"]}, tmp_path, os.getpid())
    pid = int((tmp_path / "guard.pid").read_text())
    children = Path(f"/proc/{pid}/task/{pid}/children")
    guard.wait_for(lambda: bool(children.read_text()), tmp_path)
    process = os.pidfd_open(int(children.read_text()))
    os.kill(pid, signal.SIGKILL)
    assert ended(process)
    os.close(process)


SERVER_WITH_WORKER = "import os, time; os.fork(); print(os.getpid(), flush=True); time.sleep(100)"


def said(folder: Path) -> list[str]:
    """The words that the server has logged; none before the guard, which starts it behind our back, has done so."""
    log = folder / "server.log"
    return log.read_text().split() if log.exists() else []


def ended(process: int) -> bool:
    poll = select.poll()
    poll.register(process, select.POLLIN)
    return bool(poll.poll(10_000))
