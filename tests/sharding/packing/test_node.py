"""What a node of a cluster does by itself, and what it says where it cannot."""

import os
import pickle
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import fsspec
import pytest

from support.datasets import contents, picture_tree
from tarn.sharding.__main__ import main
from tarn.sharding.errors import TarnError
from tarn.sharding.packing.engines.dispatch import host_of, where
from tarn.sharding.packing.engines.fingerprint import FINGERPRINT
from tarn.sharding.packing.engines.node import Host, Order, Outcome, carry_out
from tarn.sharding.packing.plan import plan_shards
from tarn.sharding.packing.preparation import Preparation
from tarn.sharding.packing.publishing import Target
from tarn.sharding.packing.staging import staging_folder, temporary_prefix
from tarn.sharding.packing.writer import Task, Written
from tarn.sharding.sources.find import look_at, read_splits

NODE = f"node {platform.node()}"


@pytest.fixture
def order(tmp_path: Path) -> Iterator[Order]:
    """Of the only shard of a split, to tmp_path/out."""
    root = tmp_path / "out"
    root.mkdir()
    with staging_folder(str(root)) as staging:
        yield order_for(str(root), staging, tmp_path)


def order_for(root: str, staging: Path, tmp_path: Path) -> Order:
    source = picture_tree(tmp_path / "source")
    (pictures,) = plan_shards(read_splits(look_at(source), "train").splits["train"], 10**9, 0)
    task = Task("train/train-000000.tar", staging, pictures, Preparation())
    return Order(host_of(Target.at(root), task), task, "attempt-1", where(pictures[0]))


def carried_out(order: Order) -> Outcome:
    return carry_out(pickle.dumps(order), FINGERPRINT)


def sentence(outcome: Outcome) -> str:
    assert type(outcome) is TarnError
    return str(outcome)


def test_a_shard_that_is_made_twice_is_the_same_and_leaves_nothing_aside(order: Order, tmp_path: Path) -> None:
    first = carried_out(order)
    assert isinstance(first, Written)
    before = contents(tmp_path / "out")
    assert carried_out(replace(order, attempt="attempt-2")) == first
    assert contents(tmp_path / "out") == before
    assert len([name for name in before if not name.startswith(".staging-")]) == 2


def test_who_lives_on_when_another_packing_has_begun_publishes_nothing(order: Order, tmp_path: Path) -> None:
    (tmp_path / "out" / ".pending.json").write_text("{}")
    assert sentence(carried_out(order)).endswith(".pending.json changed meanwhile: nothing was published, start again.")
    assert not list((tmp_path / "out").glob("train/*"))


def test_a_target_on_a_disk_that_the_node_does_not_share_is_told(order: Order, tmp_path: Path) -> None:
    told = f"{NODE} does not see {tmp_path / 'out'}, where shards are to be put: with --engine ray that must be a store"
    for path in Path(str(order.host.shared)).iterdir():
        path.write_text("that of another packing on this node's own disk")
    assert sentence(carried_out(order)).startswith(told)
    assert not list((tmp_path / "out").glob("train/*"))


def test_a_source_that_the_node_does_not_have_is_told(order: Order, tmp_path: Path) -> None:
    (tmp_path / "source").rename(tmp_path / "elsewhere")
    picture = order.task.pictures[0].place
    assert sentence(carried_out(order)).startswith(f"{NODE} does not see {picture} of the source: with --engine ray")


def test_what_the_command_itself_does_not_have_is_an_unreadable_picture(order: Order) -> None:
    gone = Path(str(order.task.pictures[0].place))
    gone.unlink()
    assert where(order.task.pictures[0]) == str(gone.parent)
    outcome = carried_out(replace(order, seen=where(order.task.pictures[0])))
    assert isinstance(outcome, Written)
    assert [damage.problem for damage in outcome.damaged] == ["No such file or directory"]


def test_a_node_with_another_tarn_is_told(order: Order) -> None:
    told = f"{NODE} has another Tarn, {FINGERPRINT}, than this host, 0.1.0 (code 0123): install the same"
    assert sentence(carry_out(pickle.dumps(order), "0.1.0 (code 0123)")).startswith(told)


def test_a_node_that_would_encode_otherwise_is_told(order: Order) -> None:
    described = {**order.host.described, "encoder": "Pillow 1.0"}
    host: Host = replace(order.host, described=described)
    assert "its encoder is None and not Pillow 1.0: install the same" in sentence(
        carried_out(replace(order, host=host))
    )


def test_a_node_without_tarn_is_told() -> None:
    cloudpickle = pytest.importorskip("ray.cloudpickle", reason="Ray is not installed (extra ray)")
    from tarn.sharding.packing.engines.dispatch import by_value

    packages = str(Path(cloudpickle.__file__).parents[2])
    call = "pickle.load(sys.stdin.buffer)(b'', '0.2.0', None)"
    code = f"import sys, pickle; sys.path.insert(0, {packages!r}); print({call})"
    done = subprocess.run(  # without site, nobody reads the .pth by which an editable Tarn is found
        [sys.executable, "-S", "-c", code], input=cloudpickle.dumps(by_value()), capture_output=True, cwd="/"
    )
    told = "lacks Tarn, or has another one (No module named 'tarn'): install 0.2.0 on every node."
    assert done.stdout.decode().strip() == f"{NODE} {told}", done.stderr.decode()


def test_what_a_killed_process_left_for_a_store_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    prefix = f"{temporary_prefix('memory://node')}{platform.node()}-"
    dead, living = (tmp_path / "temporary" / f"{prefix}{it}-x" for it in (ended.pid, os.getpid()))
    dead.mkdir()
    living.mkdir()
    assert isinstance(carried_out(order_for("memory://node", tmp_path, tmp_path)), Written)
    assert list((tmp_path / "temporary").iterdir()) == [living]
    assert len(fsspec.filesystem("memory").find("memory://node")) == 2
    fsspec.filesystem("memory").rm("memory://node", recursive=True)


def test_variables_of_stores_go_along_and_no_others(order: Order, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("ANOTHER", "1")
    environment = host_of(order.host.target, order.task).environment
    assert environment["AWS_ENDPOINT_URL"] == "http://127.0.0.1:1"
    assert not {"ANOTHER", "PATH", "HOME"} & environment.keys()


def test_without_ray_it_is_told_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    assert main(["pack", str(tmp_path), str(tmp_path / "out"), "--engine=ray"]) == 1
    assert "uv pip install --editable '.[ray]' in the checkout of Tarn, on every node." in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--address=127.0.0.1:1"], "is of a Ray cluster: give --engine ray with it"),
        (["--engine=ray", "--address=ray://127.0.0.1:1"], "is no HOST:PORT"),
    ],
)
def test_wrong_words_are_told(words: list[str], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["pack", str(tmp_path), str(tmp_path / "out"), *words]) == 2
    assert told in capsys.readouterr().err


def test_a_cluster_that_is_not_there_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("ray", reason="Ray is not installed (extra ray)")
    assert main(["pack", str(tmp_path), str(tmp_path / "out"), "--engine=ray", "--address=127.0.0.1:1"]) == 1
    assert "error: no Ray cluster can be reached at 127.0.0.1:1 (" in capsys.readouterr().err
