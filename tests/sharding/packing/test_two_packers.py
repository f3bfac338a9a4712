"""Two who write into one folder at a time: one of them does."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import fsspec
import pytest

from support.datasets import contents, picture_tree
from support.disks import full_disk
from support.foreign_tars import dataset
from tarn.sharding.errors import TarnError
from tarn.sharding.foreign.index import IndexConfig, index
from tarn.sharding.format.lock import only_writer
from tarn.sharding.format.manifest import read_manifest
from tarn.sharding.packing.pack import PackConfig, pack
from tarn.sharding.prune import prune
from tarn.sharding.verify import verify

CONFIG = PackConfig(shard_size=10_000)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return picture_tree(tmp_path / "source")


def test_the_second_packer_is_refused_until_the_first_one_is_dead(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    text = "import sys, time; from tarn.sharding.packing import pack\n"
    text += "pack.write_all = lambda *words: time.sleep(600)\n"
    text += "from pathlib import Path; pack.pack(Path(sys.argv[1]), sys.argv[2], pack.PackConfig())"
    first = subprocess.Popen([sys.executable, "-c", text, str(source), str(out)])
    with first:
        try:
            while not list(out.glob(".staging-*")):
                assert first.poll() is None
                time.sleep(0.001)
            with pytest.raises(TarnError, match=rf"{out} is being packed or indexed by process {first.pid} on "):
                pack(source, str(out), CONFIG)
        finally:
            os.kill(first.pid, signal.SIGKILL)
    manifest, _ = pack(source, str(out), CONFIG)
    assert verify(str(out), manifest) == []
    pack(source, str(tmp_path / "alone"), CONFIG)
    assert contents(out) == contents(tmp_path / "alone")


def test_who_indexes_is_a_writer_too(source: Path, tmp_path: Path) -> None:
    tars = dataset(tmp_path / "tars")
    with only_writer(str(tars)):
        with pytest.raises(TarnError, match=r"is being packed or indexed by process"):
            index(str(tars), IndexConfig())
        with pytest.raises(TarnError, match=r"is being packed or indexed by process"):
            pack(source, str(tars), CONFIG)
    assert index(str(tars), IndexConfig()).fresh


def test_a_folder_that_stays_empty_is_taken_away(tmp_path: Path) -> None:
    with only_writer(str(tmp_path / "out")):
        assert (tmp_path / "out").is_dir()
    assert not (tmp_path / "out").exists()


def test_in_a_store_whoever_finds_another_mark_withdraws(source: Path, store: str) -> None:
    files = fsspec.filesystem("memory")
    files.pipe_file(f"{store}/elsewhere-77-0123456789ab.packing", b"")
    with pytest.raises(
        TarnError, match=r"by process 77 on elsewhere: .*if that one is dead, remove memory://packed/els"
    ):
        pack(source, store, CONFIG)
    assert len(files.find(store)) == 1
    files.rm(f"{store}/elsewhere-77-0123456789ab.packing")
    manifest, _ = pack(source, store, CONFIG)
    assert verify(store, manifest) == []
    assert not [name for name in files.find(store) if name.endswith(".packing")]


def test_the_mark_of_a_dead_process_of_this_host_is_removed(source: Path, store: str) -> None:
    dead = subprocess.Popen(["true"])
    dead.wait()
    fsspec.filesystem("memory").pipe_file(f"{store}/{os.uname().nodename}-{dead.pid}-0123456789ab.packing", b"")
    manifest, _ = pack(source, store, CONFIG)
    assert verify(store, manifest) == []


def test_in_a_store_the_earlier_packing_stays_until_the_next_one_or_until_it_is_pruned(
    source: Path, store: str
) -> None:
    files = fsspec.filesystem("memory")
    first = read_manifest_of(source, store, 0)
    read_manifest_of(source, store, 1)
    assert all(files.exists(f"{store}/{name}") for name in first)
    assert verify(store, read_manifest(store)) == []
    third = read_manifest_of(source, store, 2)
    assert not any(files.exists(f"{store}/{name}") for name in first)
    pack(source, store, PackConfig(shard_size=10_000, seed=2, prune=True))
    assert {name.split("packed/")[1] for name in files.find(store) if name.endswith(".tar")} == third


def read_manifest_of(source: Path, store: str, seed: int) -> set[str]:
    """The names of the tars of a packing that replaces what is there."""
    manifest, _ = pack(source, store, PackConfig(shard_size=10_000, seed=seed, overwrite=True))
    return {shard.name for split in manifest.splits.values() for shard in split.shards}


def test_a_manifest_that_changed_meanwhile_is_not_replaced(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, other = tmp_path / "out", tmp_path / "other"
    pack(source, str(other), PackConfig(shard_size=20_000))
    from tarn.sharding.packing import pack as module

    real = module.write_all

    def meanwhile(*words: object) -> object:
        shutil.copytree(other, out, dirs_exist_ok=True)  # who copies knows no lock
        return real(*words)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "write_all", meanwhile)
    with pytest.raises(TarnError, match=r"manifest.json changed meanwhile: nothing was published"):
        pack(source, str(out), CONFIG)
    assert contents(out) == contents(other)


def test_a_lock_that_is_a_link_is_told_and_leads_nowhere(source: Path, tmp_path: Path) -> None:
    precious, out = tmp_path / "precious", tmp_path / "out"
    precious.write_text("precious")
    out.mkdir()
    (out / ".packing.lock").symlink_to(precious)
    with pytest.raises(TarnError, match=r"out cannot be written \(Too many levels of symbolic links\)"):
        pack(source, str(out), CONFIG)
    assert precious.read_text() == "precious"


def test_a_folder_that_can_never_be_made_is_told(source: Path) -> None:
    words = [sys.executable, "-m", "tarn.sharding", "pack", str(source), "/proc/tarn"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120)  # it looked for ever
    assert done.returncode == 1
    assert "error: /proc/tarn cannot be written (it is not there): check the path and permissions." in done.stderr


def test_on_a_full_disk_there_is_a_lock_all_the_same_for_prune_makes_room(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    pack(source, str(out), CONFIG)
    (out / ".staging-host-1").mkdir()
    with full_disk(0):
        assert prune(str(out)).removed[0].name == ".staging-host-1"
    assert not (out / ".staging-host-1").exists()
