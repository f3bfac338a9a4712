"""Packing to a store: in parts, looked at afterwards, and gone on with."""

import dataclasses
import io
from pathlib import Path
from typing import cast

import fsspec
import numpy as np
import pytest
from PIL import Image

from servers.proxy import Proxy
from servers.s3 import S3Server
from support.datasets import contents, picture_tree
from support.interrupting import interrupt_behind
from tarn.sharding import storage
from tarn.sharding.errors import TarnError
from tarn.sharding.packing.pack import PackConfig, pack
from tarn.sharding.packing.preparation import Preparation
from tarn.sharding.packing.repair import repair
from tarn.sharding.storage.told import Store, told
from tarn.sharding.storage.uploads import PART, upload

CONFIG = PackConfig(shard_size=10_000)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return picture_tree(tmp_path / "source")


def in_memory(url: str) -> dict[str, bytes]:
    files = fsspec.filesystem("memory")
    return {name.partition("packed/")[2]: files.cat_file(name) for name in files.find(url)}


def test_where_a_store_tells_no_version_the_digest_decides(
    source: Path, tmp_path: Path, store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pack(source, str(tmp_path / "alone"), CONFIG)
    interrupt_behind(4, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        pack(source, store, CONFIG)
    monkeypatch.undo()
    files, lines = fsspec.filesystem("memory"), list[str]()
    tar = f"{store}/train/train-000001.tar"
    files.pipe_file(tar, files.cat_file(tar)[:-1] + b"x")
    pack(source, store, CONFIG, lines.append)
    assert lines[1].startswith("going on with an unfinished packing: 3 of ")
    assert in_memory(store) == contents(tmp_path / "alone")


def test_a_store_that_keeps_less_than_it_was_sent_is_found_out(
    source: Path, store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "upload", lambda path, url: fsspec.filesystem("memory").pipe_file(url, b"half"))
    with pytest.raises(TarnError, match=r"the store has 4 bytes of it, sent were \d+"):
        pack(source, store, CONFIG)
    assert in_memory(store) == {}


class Torn(io.BytesIO):
    """A file on a disk that fails behind its first part."""

    def read(self, size: int | None = -1) -> bytes:
        if self.tell():
            raise OSError(5, "Input/output error")
        return super().read(size)

    def open(self, mode: str) -> "Torn":
        return self


@pytest.mark.usefixtures("s3_env")
def test_an_upload_by_fsspec_that_fails_half_way_publishes_no_half(s3: S3Server, bucket: str) -> None:
    with told(Store(client="fsspec")), pytest.raises(OSError, match="Input/output error"):
        upload(cast(Path, Torn(b"x" * 2 * PART)), f"{bucket}/file")
    assert s3.keys(bucket) == []
    assert "Uploads" not in s3.client.list_multipart_uploads(Bucket=bucket.removeprefix("s3://"))


def test_a_shard_goes_to_s3_in_parts_and_comes_back_the_same(
    tmp_path: Path, s3: S3Server, s3_env: dict[str, str], proxy: Proxy, bucket: str
) -> None:
    rng, tree = np.random.default_rng(0), tmp_path / "tree"
    (tree / "train" / "a").mkdir(parents=True)
    for number in range(6):
        picture = Image.fromarray(rng.integers(0, 255, (1000, 1200, 3), np.uint8))
        picture.save(tree / "train" / "a" / f"{number}.png")
    config = PackConfig(split="train", preparation=Preparation(tile=0))
    pack(tree, f"{bucket}/out", config)
    parts = [it for it in proxy.log if it.method == "PUT" and "partNumber" in it.query]
    assert len(parts) == 3
    pack(tree, str(tmp_path / "out"), config)
    stored = {key.removeprefix("out/"): s3.get(f"{bucket}/{key}") for key in s3.keys(bucket)}
    assert stored == contents(tmp_path / "out")


@pytest.mark.usefixtures("s3_env")
def test_parts_that_a_kill_left_are_dropped_by_the_next_packing(source: Path, s3: S3Server, bucket: str) -> None:
    name = bucket.removeprefix("s3://")
    for key in ("out/train/train-000000.tar", "outside/train/train-000000.tar"):
        s3.client.create_multipart_upload(Bucket=name, Key=key)
    pack(source, f"{bucket}/out", CONFIG)
    left = s3.client.list_multipart_uploads(Bucket=name)["Uploads"]
    assert [upload["Key"] for upload in left] == ["outside/train/train-000000.tar"]


def test_a_lost_store_is_told_and_when_it_is_back_the_same_command_goes_on(
    source: Path, tmp_path: Path, s3: S3Server, s3_env: dict[str, str], proxy: Proxy, bucket: str
) -> None:
    root, lines = f"{bucket}/out", list[str]()
    proxy.fault("status", times=None, method="PUT", match="train-000003.tar", code=503)
    with told(Store(deadline=1)), pytest.raises(TarnError, match=r"train-000003.tar cannot be written") as caught:
        pack(source, root, CONFIG)
    assert "shards are done, and kept: the same command goes on" in caught.value.__notes__[0]
    assert not [key for key in s3.keys(bucket) if key.endswith((".packing", "manifest.json"))]
    proxy.reset()
    pack(source, root, CONFIG, lines.append)
    assert "3 of" in lines[1]
    pack(source, str(tmp_path / "out"), CONFIG)
    assert {key.removeprefix("out/"): s3.get(f"{bucket}/{key}") for key in s3.keys(bucket)} == contents(
        tmp_path / "out"
    )


def test_what_is_missing_in_a_store_is_repaired(
    source: Path, s3: S3Server, s3_env: dict[str, str], bucket: str
) -> None:
    root = f"{bucket}/out"
    pack(source, root, CONFIG)
    before = {key: s3.get(f"{bucket}/{key}") for key in s3.keys(bucket)}
    s3.delete(f"{root}/train/train-000001.tar")
    s3.put(f"{root}/train/train-000002.tar", b"torn")
    s3.delete(f"{root}/val/val-000000.idx")
    assert repair(root, source) == ("train/train-000001.tar", "train/train-000002.tar", "val/val-000000.tar")
    assert {key: s3.get(f"{bucket}/{key}") for key in s3.keys(bucket)} == before


def test_other_words_for_the_store_reach_the_workers(
    source: Path, s3: S3Server, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    environment = s3.env_at(s3.endpoint)
    options = {
        "key": environment["AWS_ACCESS_KEY_ID"],
        "secret": environment["AWS_SECRET_ACCESS_KEY"],
        "endpoint_url": environment["AWS_ENDPOINT_URL"],
    }
    with told(Store(options=options)):
        pack(source, f"{bucket}/out", dataclasses.replace(CONFIG, workers=2))
    assert f"{bucket}/out/manifest.json".endswith(s3.keys(f"{bucket}/out/manifest")[0])
