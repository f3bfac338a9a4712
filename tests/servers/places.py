"""Tars put where a test wants them and indexed: on a disk, a web server, an object store."""

import shutil
from pathlib import Path

import pytest

from servers.nginx import Nginx
from servers.s3 import S3Server
from tarn.sharding.foreign.index import IndexConfig, index
from tarn.sharding.format.manifest import read_manifest

PATTERN = "web-{train-00000{0..2},val-00000{0..1}}.tar"


class Places:
    """Puts the tars somewhere and indexes them; a place is told by the URL to train from."""

    def __init__(self, request: pytest.FixtureRequest, tars: Path, folder: Path) -> None:
        self.request, self.tars, self.folder = request, tars, folder

    def beside(self) -> str:
        return indexed(str(shutil.copytree(self.tars, self.folder / "tars")), None)

    def elsewhere(self) -> str:
        return indexed(str(self.tars), self.folder / "index")

    def of_web_server(self) -> str:
        nginx: Nginx = self.request.getfixturevalue("nginx")
        shutil.copytree(self.tars, nginx.folder / self.folder.name)
        return indexed(f"{nginx.url}{self.folder.name}/{PATTERN}", self.folder / "index")

    def of_store(self) -> str:
        return indexed(self.stored(), self.folder / "index")

    def beside_in_store(self) -> str:
        return indexed(self.stored(), None)

    def elsewhere_in_store(self) -> str:
        self.request.getfixturevalue("s3_env")
        return indexed(str(self.tars), f"{self.request.getfixturevalue('bucket')}/index")

    def stored(self) -> str:
        """The URL of a copy in the object store, not indexed."""
        self.request.getfixturevalue("s3_env")
        s3: S3Server = self.request.getfixturevalue("s3")
        url = f"{self.request.getfixturevalue('bucket')}/a/tars"
        s3.put_tree(url, self.tars)
        return url

    def replace(self, url: str, name: str, data: bytes) -> None:
        """Other bytes for a tar where it lies."""
        where = read_manifest(url).shards_root(url)
        if where.startswith("s3://"):
            self.request.getfixturevalue("s3").put(f"{where}/{name}", data)
        else:
            self.file(where, name).write_bytes(data)

    def remove(self, url: str, name: str) -> None:
        where = read_manifest(url).shards_root(url)
        if where.startswith("s3://"):
            self.request.getfixturevalue("s3").delete(f"{where}/{name}")
        else:
            self.file(where, name).unlink()

    def file(self, where: str, name: str) -> Path:
        """Of a disk or of the web server, whose files lie on one."""
        is_web = where.startswith("http://")
        return (self.request.getfixturevalue("nginx").folder / self.folder.name if is_web else Path(where)) / name


def indexed(url: str, out: Path | str | None) -> str:
    done = index(url, IndexConfig(out=str(out) if out is not None else None, workers=2))
    assert done.fresh
    assert (done.manifest.data_root is None) == (out is None)
    return done.root
