"""Packing on a Ray cluster: three nodes of this machine, one of them really killed."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from servers.s3 import S3Server
from support.clusters import LocalCluster, local_cluster
from support.datasets import contents, picture_tree
from tarn.sharding.errors import TarnError
from tarn.sharding.packing.engines.bell import Ear, hung
from tarn.sharding.packing.engines.cluster import Cluster
from tarn.sharding.packing.engines.dispatch import Attempt, Dispatch
from tarn.sharding.packing.pack import PackConfig, pack
from tarn.sharding.packing.repair import repair
from tarn.sharding.storage.told import Store, told

pytest.importorskip("ray", reason="Ray is not installed (extra ray)")
pytest.importorskip("psutil")

ALONE = PackConfig(shard_size=10_000)  # shards of a few pictures
CONFIG = replace(ALONE, workers=None, engine=Cluster())


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalCluster]:
    with local_cluster() as running:
        yield running


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """To be read only."""
    return picture_tree(tmp_path_factory.mktemp("pictures") / "source", train=30)


@pytest.fixture(scope="module")
def alone(source: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What a single process makes of the source."""
    root = tmp_path_factory.mktemp("packed") / "alone"
    pack(source, str(root), ALONE)
    return contents(root)


class Death:
    """Of a node, when some shards are made. It is frozen first, in a task, until others have made more: so it dies at
    work, however fast the machine is."""

    def __init__(self, cluster: LocalCluster, shards: Callable[[], int], monkeypatch: pytest.MonkeyPatch) -> None:
        self.cluster, self.shards, self.begun_anew = cluster, shards, list[Attempt]()
        real = Dispatch.send_again

        def noted(dispatch: Dispatch, attempt: Attempt) -> None:
            self.begun_anew.append(attempt)
            real(dispatch, attempt)

        monkeypatch.setattr(Dispatch, "send_again", noted)
        self.thread = threading.Thread(target=self.come)

    def __enter__(self) -> "Death":
        self.cluster.complete()
        self.thread.start()
        return self

    def come(self) -> None:
        self.wait_until(lambda: self.shards() >= 3)
        self.wait_until(self.cluster.freeze_one_at_work)
        made = self.shards()
        self.wait_until(lambda: self.shards() > made)
        for process in self.cluster.processes_of_one():
            process.kill()

    def wait_until(self, condition: Callable[[], bool]) -> None:
        end = time.monotonic() + 120
        while not condition() and time.monotonic() < end:
            time.sleep(0.001)

    def __exit__(self, *error: object) -> None:
        self.thread.join()
        self.cluster.forget_it()


def test_one_of_three_nodes_is_killed_and_the_bytes_are_the_same(
    cluster: LocalCluster, source: Path, alone: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "out"
    with Death(cluster, lambda: len(list(root.glob("train/*.tar"))), monkeypatch) as death:
        pack(source, str(root), CONFIG)
    assert death.begun_anew
    assert contents(root) == alone


def test_to_a_store_too_by_credentials_that_only_the_command_has(
    cluster: LocalCluster,
    source: Path,
    alone: dict[str, bytes],
    s3: S3Server,
    bucket: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    environment = s3.env_at(s3.endpoint)
    for name in environment:
        monkeypatch.delenv(name, raising=False)
    key = environment["AWS_ACCESS_KEY_ID"]
    options = {
        "key": key,
        "secret": environment["AWS_SECRET_ACCESS_KEY"],
        "endpoint_url": environment["AWS_ENDPOINT_URL"],
    }
    root = f"{bucket}/out"
    shards = lambda: sum(name.endswith(".tar") for name in s3.keys(f"{root}/train"))  # noqa: E731
    with told(Store(options=options)), Death(cluster, shards, monkeypatch) as death:
        pack(source, root, CONFIG)
    assert death.begun_anew
    assert {name.removeprefix("out/"): s3.get(f"{bucket}/{name}") for name in s3.keys(bucket)} == alone
    assert "Uploads" not in s3.client.list_multipart_uploads(Bucket=bucket.removeprefix("s3://"))
    logs = [path for path in cluster.folder.rglob("*") if path.is_file() and not path.is_symlink()]
    assert logs
    assert not [path for path in logs if key.encode() in path.read_bytes()]


@pytest.mark.usefixtures("cluster")
def test_unreadable_pictures_are_told_and_skipped_as_without_a_cluster(tmp_path: Path) -> None:
    source = picture_tree(tmp_path / "source")
    broken = source / "train" / "class1" / "train3.jpg"
    broken.write_bytes(broken.read_bytes()[:200])
    sentences = []
    for config in (ALONE, CONFIG):
        with pytest.raises(TarnError, match="1 unreadable picture") as caught:
            pack(source, str(tmp_path / "failed"), config)
        sentences.append([str(caught.value), *caught.value.__notes__])
        shutil.rmtree(tmp_path / "failed")
    assert sentences[0] == sentences[1]
    for name, config in (("alone", ALONE), ("out", CONFIG)):
        pack(source, str(tmp_path / name), replace(config, bad="skip"))
    assert contents(tmp_path / "out") == contents(tmp_path / "alone")


@pytest.mark.usefixtures("cluster")
def test_what_is_missing_is_repaired_by_a_cluster(source: Path, alone: dict[str, bytes], tmp_path: Path) -> None:
    root = tmp_path / "out"
    for name, data in alone.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    (root / "train/train-000001.tar").unlink()
    (root / "train/train-000003.tar").write_bytes(b"torn")
    assert repair(str(root), source, workers=None, engine=Cluster()) == (
        "train/train-000001.tar",
        "train/train-000003.tar",
    )
    assert contents(root) == alone


@pytest.mark.usefixtures("cluster")
@pytest.mark.parametrize("lost", [False, True], ids=["rung", "lost"])
def test_a_task_ends_when_the_bell_has_rung_and_not_when_it_is_lost(lost: bool) -> None:
    import ray

    actor = hung(ray)
    ear = Ear(ray, actor)
    for answered in range(2):
        ray.wait([ear.asked], timeout=60)
        ear.listen()
        assert ear.asked is None, answered
        while ear.asked is None:
            ear.listen()
    ray.get(ear.asked)
    ray.kill(actor) if lost else ray.get(actor.ring.remote())
    ear.asked = actor.is_rung.remote()
    ray.wait([ear.asked], timeout=60)
    with contextlib.nullcontext() if lost else pytest.raises(TarnError, match="stopped"):
        ear.listen()


def test_ctrl_c_leaves_at_once_and_the_same_command_goes_on_without_a_cluster(
    cluster: LocalCluster, source: Path, alone: dict[str, bytes], tmp_path: Path
) -> None:
    root, lines = Path("out"), list[str]()  # relative, as people write it
    command = [sys.executable, "-m", "tarn.sharding", "pack", os.path.relpath(source, tmp_path), str(root)]
    more = ["--shard-size=10000", "--engine=ray", f"--address={cluster.address}"]
    process = subprocess.Popen(
        [*command, *more], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    while process.poll() is None and len(list((tmp_path / root).glob("train/*.tar"))) < 5:
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    printed, errors = process.communicate(timeout=120)
    assert process.returncode == 130, errors
    assert len(printed.splitlines()) == 1  # nothing of Ray's
    assert errors.splitlines()[-1].startswith("interrupted: ")
    assert errors.splitlines()[-1].endswith("shards are done, and kept: the same command goes on from there.")
    assert not list((tmp_path / root).glob(".staging-*"))
    pack(source, str(tmp_path / root), ALONE, lines.append)
    assert lines[1].startswith("going on with an unfinished packing: ")
    assert contents(tmp_path / root) == alone
