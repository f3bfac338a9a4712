"""A real S3-compatible object store on this machine, which checks signatures and keeps its data on disk."""

import fcntl
import json
import os
import urllib.request
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from servers import guard, swift


class S3Server:
    """Swift in `folder`, running until `stop` or until the process `owner` ends. It keeps its data for a restart."""

    def __init__(self, folder: Path, owner: int | None = None) -> None:
        self.folder = folder
        self.owner = owner or os.getpid()
        self.programs = swift.install()
        file = folder / "ports.json"
        if not file.exists():
            names = (*swift.SERVERS, "memcached")
            ports = dict(zip(names, guard.free_ports(len(names)), strict=True))
            swift.configure(self.programs, folder / "etc", folder / "disks", ports)
            file.write_text(json.dumps(ports))
        self.ports: dict[str, int] = json.loads(file.read_text())
        self.endpoint = f"http://127.0.0.1:{self.ports['proxy']}"

    @property
    def env(self) -> dict[str, str]:
        return self.env_at(self.endpoint)

    def env_at(self, endpoint: str) -> dict[str, str]:
        """What clients of every kind read from the environment, for the server itself or a proxy in front of it."""
        return {
            "AWS_ACCESS_KEY_ID": swift.KEY,
            "AWS_SECRET_ACCESS_KEY": swift.SECRET,
            "AWS_REGION": swift.REGION,
            "AWS_DEFAULT_REGION": swift.REGION,
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_ALLOW_HTTP": "true",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def start(self) -> None:
        guard.start(swift.commands(self.programs, self.folder / "etc", self.ports), self.folder, self.owner)
        guard.wait_for(self.running, self.folder)

    def stop(self) -> None:
        guard.stop(self.folder)

    def restart(self) -> None:
        self.stop()
        self.start()

    def running(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.endpoint}/healthcheck", timeout=5):
                return all(guard.listens(self.ports[name]) for name in swift.SERVERS)
        except OSError:
            return False

    @cached_property
    def client(self) -> Any:
        """botocore's: a client that is none of those under test."""
        return self.client_at(self.endpoint)

    def client_at(self, endpoint: str, secret: str = swift.SECRET) -> Any:
        """To be closed by the caller. It tries once, so that a test sees every fault."""
        session = pytest.importorskip("botocore.session").Session()
        config = pytest.importorskip("botocore.config").Config(
            retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}
        )
        return session.create_client(
            "s3",
            region_name=swift.REGION,
            endpoint_url=endpoint,
            aws_access_key_id=swift.KEY,
            aws_secret_access_key=secret,
            config=config,
        )

    def close_client(self) -> None:
        if "client" in self.__dict__:
            self.__dict__.pop("client").close()

    def make_bucket(self, bucket: str) -> str:
        """The new bucket's URL. The methods below take s3://bucket/key."""
        self.client.create_bucket(Bucket=bucket)
        return f"s3://{bucket}"

    def put(self, url: str, content: bytes) -> None:
        self.client.put_object(**place(url), Body=content)

    def put_tree(self, url: str, folder: Path) -> None:
        """Every file below a folder, under its path in the folder."""
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            self.put(f"{url}/{path.relative_to(folder).as_posix()}", path.read_bytes())

    def get(self, url: str) -> bytes:
        with self.client.get_object(**place(url))["Body"] as body:
            content: bytes = body.read()
        return content

    def delete(self, url: str) -> None:
        self.client.delete_object(**place(url))

    def keys(self, url: str) -> list[str]:
        """Of the objects whose URLs begin so, sorted, without the bucket's name."""
        where = place(url)
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=where["Bucket"], Prefix=where["Key"])
        return [entry["Key"] for page in pages for entry in page.get("Contents", [])]


def place(url: str) -> dict[str, str]:
    bucket, _, key = url.removeprefix("s3://").partition("/")
    return {"Bucket": bucket, "Key": key}


def shared(folder: Path, owner: int) -> S3Server:
    """The one server of a test run: the first pytest-xdist worker to come starts it, the run's main process owns it."""
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        server = S3Server(folder, owner)
        if not server.running():
            server.start()
    return server
