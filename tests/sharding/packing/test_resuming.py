"""A packing that did not come to its end: what of it is kept, what is made anew, and what is told of it."""

import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from support.datasets import contents, picture_tree
from support.disks import full_disk
from support.interrupting import interrupt_behind
from tarn.sharding.__main__ import main
from tarn.sharding.errors import TarnError, UsageError
from tarn.sharding.foreign.index import IndexConfig, index
from tarn.sharding.format.manifest import read_manifest
from tarn.sharding.packing.pack import PackConfig, pack
from tarn.sharding.packing.preparation import Preparation
from tarn.sharding.verify import verify

CONFIG = PackConfig(shard_size=10_000)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return picture_tree(tmp_path / "source")


@pytest.fixture
def alone(source: Path, tmp_path: Path) -> dict[str, bytes]:
    """What an undisturbed packing writes."""
    pack(source, str(tmp_path / "alone"), CONFIG)
    return contents(tmp_path / "alone")


@pytest.fixture
def out(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A packing that was interrupted behind its third shard."""
    out = tmp_path / "out"
    interrupt_behind(3, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        pack(source, str(out), CONFIG)
    monkeypatch.undo()
    return out


def resumed(source: Path, out: Path, config: PackConfig = CONFIG) -> list[str]:
    """What is told of going on."""
    told: list[str] = []
    pack(source, str(out), config, told.append)
    return [line for line in told if not line.startswith("source: ")]


def test_shards_that_are_done_are_not_made_again(source: Path, out: Path, alone: dict[str, bytes]) -> None:
    kept = {path: path.stat().st_ino for path in out.rglob("*.tar")}
    assert len(kept) == 3
    (told,) = resumed(source, out)
    assert told.startswith("going on with an unfinished packing: 3 of ")
    assert contents(out) == alone
    assert {path: path.stat().st_ino for path in kept} == kept


def test_what_has_no_record_is_made_anew_whatever_a_power_cut_left_of_it(
    source: Path, out: Path, alone: dict[str, bytes]
) -> None:
    (out / "train" / ".train-000001.json").unlink()
    (out / "train" / "train-000001.tar").write_bytes(b"")
    (out / "train" / "train-000001.idx").unlink()
    (out / "train" / "train-000003.tar").write_bytes(b"torn")
    (told,) = resumed(source, out)
    assert "2 of" in told
    assert contents(out) == alone


@pytest.mark.parametrize("harm", ["cut", "changed", "index changed", "index gone", "record torn"])
def test_a_shard_that_is_not_what_its_record_tells_is_made_anew(
    harm: str, source: Path, out: Path, alone: dict[str, bytes]
) -> None:
    tar, index, record = (
        out / "train" / name for name in ("train-000001.tar", "train-000001.idx", ".train-000001.json")
    )
    {
        "cut": lambda: tar.write_bytes(tar.read_bytes()[:-512]),
        "changed": lambda: tar.write_bytes(tar.read_bytes()[:-1] + b"x"),
        "index changed": lambda: index.write_bytes(index.read_bytes()[:-1] + b"x"),
        "index gone": index.unlink,
        "record torn": lambda: record.write_bytes(record.read_bytes()[:-9]),
    }[harm]()
    (told,) = resumed(source, out)
    assert "2 of" in told
    assert contents(out) == alone


def test_a_folder_that_was_copied_is_gone_on_with_by_its_digests(
    source: Path, out: Path, alone: dict[str, bytes]
) -> None:
    for tar in out.rglob("*.tar"):
        os.utime(tar, ns=(1, 1))
    (told,) = resumed(source, out)
    assert "3 of" in told
    assert contents(out) == alone


def test_another_packing_removes_what_an_unfinished_one_left_and_says_so(
    source: Path, out: Path, tmp_path: Path
) -> None:
    other = replace(CONFIG, seed=1)
    (told,) = resumed(source, out, other)
    assert told.startswith("removed: what an unfinished packing left, which had another plan, seed (3 of ")
    pack(source, str(tmp_path / "other"), other)
    assert contents(out) == contents(tmp_path / "other")


def test_one_of_other_splits_or_pictures_is_another(source: Path, out: Path) -> None:
    (told,) = resumed(source, out, replace(CONFIG, split="train"))
    assert "another splits" in told
    (source / "train" / "class0" / "train0.jpg").unlink()
    assert resumed(source, out, replace(CONFIG, overwrite=True)) == []


def test_an_unfinished_packing_is_never_sound(source: Path, out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", str(out)]) == 1
    assert (
        "only what a packing or indexing left that did not come to its end: start it again" in capsys.readouterr().err
    )


def test_indexing_does_not_remove_it(out: Path) -> None:
    before = contents(out)
    with pytest.raises(UsageError, match=r"holds shards of a packing that did not come to its end \(3 of .*start that"):
        index(str(out), IndexConfig())
    assert contents(out) == before


def test_beside_an_earlier_dataset_that_stays_readable_it_is_told(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    before, _ = pack(source, str(out), CONFIG)
    interrupt_behind(2, monkeypatch)
    with pytest.raises(KeyboardInterrupt) as caught:
        pack(source, str(out), replace(CONFIG, seed=1, overwrite=True))
    assert "2 of" in caught.value.__notes__[0]
    manifest = read_manifest(str(out))
    assert manifest == before
    (told,) = verify(str(out), manifest)
    assert "shards of a packing that did not come to its end, 2 of" in told


def test_an_interrupt_tells_what_is_done_and_nothing_is_left_where_nothing_is(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["pack", str(source), str(tmp_path / "out"), "--shard-size=10kB", "--workers=1"]
    interrupt_behind(0, monkeypatch)
    assert main(words) == 130
    assert "interrupted: nothing was published." in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    monkeypatch.undo()
    interrupt_behind(4, monkeypatch)
    assert main(words) == 130
    assert "shards are done, and kept: the same command goes on from there." in capsys.readouterr().err
    monkeypatch.undo()
    assert main(words) == 0
    assert "going on with an unfinished packing: 4 of" in capsys.readouterr().out


@pytest.mark.parametrize(("number", "word"), [(signal.SIGINT, "interrupted"), (signal.SIGTERM, "ended by a signal")])
def test_signals_end_all_workers_behind_their_shards_and_tell_what_is_done(
    number: signal.Signals, word: str, tmp_path: Path
) -> None:
    source, out = picture_tree(tmp_path / "source", train=60), tmp_path / "out"
    command = [sys.executable, "-m", "tarn.sharding", "pack", str(source), str(out), "--shard-size=10kB", "--workers=2"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    while not list(out.glob("train/.*.json")):
        assert process.poll() is None
        time.sleep(0.001)
    (os.killpg if number == signal.SIGINT else os.kill)(process.pid, number)  # a terminal's reaches all of them
    _, told = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert word in told
    assert "shards are done, and kept: the same command goes on from there." in told
    assert not list(out.glob(".staging-*"))
    lines = resumed(source, out)
    assert lines[0].startswith("going on")
    pack(source, str(tmp_path / "alone"), CONFIG)
    assert contents(out) == contents(tmp_path / "alone")


def test_a_full_disk_is_told_and_with_room_the_same_command_goes_on(source: Path, tmp_path: Path) -> None:
    out, config = tmp_path / "out", replace(CONFIG, preparation=Preparation(tile=0, check="off"))
    (source / "val" / "class1" / "large.png").write_bytes(b"0" * 60_000)  # behind all of train
    with full_disk(50_000), pytest.raises(TarnError, match=r"packing stopped .*File too large.*: make room") as caught:
        pack(source, str(out), config)
    assert "shards are done, and kept: the same command" in caught.value.__notes__[0]
    assert not list(out.glob(".staging-*"))
    (told,) = resumed(source, out, config)
    assert "going on" in told
    pack(source, str(tmp_path / "roomy"), config)
    assert contents(out) == contents(tmp_path / "roomy")


def test_workers_end_with_a_killed_parent(tmp_path: Path) -> None:
    source = picture_tree(tmp_path / "source", train=60)
    command = [sys.executable, "-m", "tarn.sharding", "pack", str(source), str(tmp_path / "out"), "--shard-size=10kB"]
    parent = subprocess.Popen([*command, "--workers=2"], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    while not list((tmp_path / "out").glob("train/*.tar")):
        assert parent.poll() is None
        time.sleep(0.001)
    children = [int(it) for it in Path(f"/proc/{parent.pid}/task/{parent.pid}/children").read_text().split()]
    files = [os.pidfd_open(child) for child in children]
    assert len(files) >= 2
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    for file in files:
        assert select.select([file], [], [], 20)[0]
        os.close(file)


def test_shards_that_another_check_went_through_are_made_anew(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where bad pictures are skipped, the check decides which are in."""
    for path in sorted((source / "train").rglob("*0.jpg")):
        Image.effect_noise((40, 40), 80).save(path.with_suffix(".png"))
        raw = bytearray(path.with_suffix(".png").read_bytes())
        raw[len(raw) // 2] ^= 255
        path.with_suffix(".png").write_bytes(raw)
    lax, strict = (
        replace(CONFIG, bad="skip", preparation=Preparation(tile=0, check=check)) for check in ("off", "all")
    )
    pack(source, str(tmp_path / "alone"), strict)
    interrupt_behind(3, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        pack(source, str(tmp_path / "out"), lax)
    monkeypatch.undo()
    pack(source, str(tmp_path / "out"), strict)
    assert contents(tmp_path / "out") == contents(tmp_path / "alone")


def test_a_split_that_leads_to_another_disk_is_told_at_once(source: Path, tmp_path: Path) -> None:
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK) or memory.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is one disk here")
    (tmp_path / "out").mkdir()
    with tempfile.TemporaryDirectory(dir=memory) as other:
        (tmp_path / "out" / "train").symlink_to(other)
        with pytest.raises(TarnError, match=r"out/train lies on another disk than \S+out, so that no shard"):
            pack(source, str(tmp_path / "out"), CONFIG)
        assert contents(tmp_path / "out") == contents(Path(other)) == {}
