"""Tars of a web server, and of a store that is not a disk."""

import re
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import fsspec
import pytest

from support.foreign_checks import pictures_by_index
from support.foreign_tars import dataset, info_json, picture
from tarn.sharding.errors import TarnError, UsageError
from tarn.sharding.foreign.index import IndexConfig, index
from tarn.sharding.format.manifest import read_manifest
from tarn.sharding.stats import stats
from tarn.sharding.verify import verify


class Ranges(SimpleHTTPRequestHandler):
    """A web server that serves ranges, and lists nothing."""

    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self.reply(with_body=False)

    def do_GET(self) -> None:
        self.reply(with_body=True)

    def reply(self, with_body: bool) -> None:
        path = Path(self.translate_path(self.path))
        if not path.is_file():
            self.send_response(404)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        raw = path.read_bytes()
        match = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        start, end = (int(match[1]), int(match[2] or len(raw) - 1) + 1) if match else (0, len(raw))
        body = raw[start:end]
        self.send_response(206 if match else 200)
        if match:
            self.send_header("Content-Range", f"bytes {start}-{start + len(body) - 1}/{len(raw)}")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Accept-Ranges", "bytes")
        self.end_headers()
        if with_body:
            self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A dataset and the URL under which a web server has it."""
    root = dataset(tmp_path / "in")
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Ranges, directory=str(root))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}", root
        server.shutdown()
        thread.join()


def test_tars_of_a_web_server_are_named_by_a_pattern_and_indexed_elsewhere(
    served: tuple[str, Path], tmp_path: Path
) -> None:
    url, root = served
    out = str(tmp_path / "out")
    done = index(f"{url}/my-{{train-{{0000..0002}},val-0000}}.tar", IndexConfig(out=out, workers=2))
    assert done.manifest.data_root == url
    assert pictures_by_index(done, root)["train"][24] == ("s00024", picture(24), 0)
    assert verify(out, done.manifest) == []
    assert "val: 7 pictures" in stats(out, done.manifest)
    options = IndexConfig(out=out, splits=("train=my-train-{0000..0002}.tar", "val=my-val-0000.tar"))
    assert index(url, options).fresh is False
    info_json(root)
    assert index(url, IndexConfig(out=out)).fresh is False


def test_a_web_server_neither_lists_nor_takes_files(served: tuple[str, Path], tmp_path: Path) -> None:
    url, _ = served
    out = str(tmp_path / "out")
    with pytest.raises(UsageError, match=r"cannot be listed: give a pattern such as http://.*/train-\{0000\.\.0012\}"):
        index(url, IndexConfig(out=out))
    with pytest.raises(UsageError, match=r"cannot be listed, so write braces"):
        index(url, IndexConfig(out=out, splits=("train=*.tar",)))
    with pytest.raises(UsageError, match=r"http://.* cannot be written: give a folder .* by --out FOLDER"):
        index(f"{url}/my-train-0000.tar", IndexConfig())
    with pytest.raises(TarnError, match=r"my-train-0008.tar cannot be read .*it is not there"):
        index(f"{url}/my-train-{{0008..0009}}.tar", IndexConfig(out=out))
    with pytest.raises(UsageError, match=r"braces before its first folder"):
        index("http://{a,b}/train.tar", IndexConfig(out=out))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[str]:
    """A dataset in a store that is not a disk."""
    memory = fsspec.filesystem("memory")
    for path in dataset(tmp_path / "in").iterdir():
        memory.pipe_file(f"/bucket/data/{path.name}", path.read_bytes())
    yield "memory://bucket/data"
    memory.store.clear()
    memory.pseudo_dirs[:] = [""]


def test_a_store_is_listed_read_and_written(store: str, tmp_path: Path) -> None:
    done = index(store, IndexConfig(workers=2))
    assert done.root == store
    assert {name: split.samples for name, split in done.manifest.splits.items()} == {"train": 25, "val": 7}
    names = [path.rsplit("/", 1)[1] for path in fsspec.filesystem("memory").find("/bucket/data")]
    assert [name for name in names if not name.endswith(".tar")] == [
        "manifest.json",
        "my-train-0000.idx",
        "my-train-0001.idx",
        "my-train-0002.idx",
        "my-val-0000.idx",
        "train.indexes",
        "val.indexes",
    ]
    assert verify(store, read_manifest(store)) == []
    assert index(store, IndexConfig()).fresh is False
    local = index(str(tmp_path / "in"), IndexConfig())
    assert local.manifest == done.manifest
