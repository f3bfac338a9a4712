"""prune removes what no manifest names and nothing else, and says what."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from support.datasets import contents, picture_tree
from tarn.sharding.__main__ import main
from tarn.sharding.errors import TarnError
from tarn.sharding.format.leftovers import files_of
from tarn.sharding.format.lock import only_writer
from tarn.sharding.format.manifest import PENDING, read_manifest
from tarn.sharding.interchange.describe import describe
from tarn.sharding.packing.pack import PackConfig, pack
from tarn.sharding.prune import prune
from tarn.sharding.verify import verify

SMALL = PackConfig(shard_size=10_000)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return picture_tree(tmp_path / "source")


@pytest.fixture
def root(source: Path, tmp_path: Path) -> Path:
    pack(source, str(tmp_path / "out"), SMALL)
    return tmp_path / "out"


def test_a_dataset_alone_has_nothing_to_prune(root: Path) -> None:
    before = contents(root)
    assert prune(str(root)).removed == ()
    assert contents(root) == before


def test_what_a_killed_packing_left_goes_and_a_dry_run_only_tells(
    root: Path, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = contents(root)
    pack(source, str(tmp_path / "other"), replace(SMALL, seed=1))
    other = (tmp_path / "other" / "manifest.json").read_text().replace("train-0000", "train-g1-0000")
    (root / PENDING).write_text(other)
    shutil.copy(tmp_path / "other" / "train" / "train-000001.tar", root / "train" / "train-g1-000001.tar")
    (root / ".staging-host-5" / "train").mkdir(parents=True)
    (root / ".staging-host-5" / "train" / "train-000000.tar").write_bytes(bytes(1000))
    left = contents(root)
    assert main(["prune", str(root), "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert contents(root) == left
    assert "would remove train/train-g1-000001.tar" in said
    assert "would remove .staging-host-5 (1,000 bytes): left by a packing that was killed" in said
    assert main(["prune", str(root)]) == 0
    assert "removed train/train-g1-000001.tar" in capsys.readouterr().out
    assert contents(root) == before
    assert verify(str(root), read_manifest(str(root))) == []


def test_a_replaced_packing_goes_when_nobody_reads_it_any_more(root: Path, source: Path) -> None:
    held = read_manifest(str(root))
    pack(source, str(root), replace(SMALL, seed=1, overwrite=True))
    done = prune(str(root))
    assert done.removed == ()
    assert "are still read" in done.kept[0]
    assert (root / held.split("train").shards[0].name).exists()
    name = held.split("train").shards[0].name
    del held
    done = prune(str(root))
    assert name in {stray.name for stray in done.removed}
    assert not (root / name).exists()
    assert verify(str(root), read_manifest(str(root))) == []


def test_in_a_store_a_replaced_packing_goes_only_where_told(source: Path) -> None:
    store = "memory://pruned"
    pack(source, store, SMALL)
    pack(source, store, replace(SMALL, seed=1, overwrite=True))
    done = prune(store)
    assert done.removed == ()
    assert "--all removes them" in done.kept[0]
    removed = {stray.name for stray in prune(store, everything=True).removed}
    assert "train/train-000000.tar" in removed
    assert "train/train-000000.idx" in removed
    assert prune(store, everything=True).removed == ()
    assert verify(store, read_manifest(store)) == []


def test_a_shard_in_no_manifest_goes_and_a_tar_called_otherwise_stays(root: Path) -> None:
    for name in ("train/train-000099.tar", "train/train-000099.idx", "train/mine.tar", "notes.txt"):
        (root / name).write_bytes(b"x")
    done = prune(str(root))
    assert {stray.name for stray in done.removed} == {"train/train-000099.tar", "train/train-000099.idx"}
    assert (root / "train/mine.tar").exists()
    assert (root / "notes.txt").exists()
    assert any("train/mine.tar is in no manifest" in line for line in done.kept)


def test_nothing_goes_while_somebody_packs_there(root: Path) -> None:
    (root / "train" / "train-000099.tar").write_bytes(b"x")
    with only_writer(str(root)), pytest.raises(TarnError, match="is being packed or indexed"):
        prune(str(root))
    assert (root / "train" / "train-000099.tar").exists()


def test_a_folder_without_a_dataset_is_refused(tmp_path: Path) -> None:
    (tmp_path / "train-000001.tar").write_bytes(b"x")
    with pytest.raises(TarnError, match="holds no packed dataset"):
        prune(str(tmp_path))
    assert (tmp_path / "train-000001.tar").exists()


def test_what_others_put_there_stays_however_it_is_called(root: Path, source: Path, tmp_path: Path) -> None:
    theirs = {"laion/laion-000000.tar": b"tar", "laion/laion-000000.idx": b"idx", ".staging-mine/notes": b"mine"}
    for name, data in theirs.items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_bytes(data)
    done = prune(str(root))
    assert done.removed == ()
    assert "laion/laion-000000.tar is in no manifest, and in a folder of no split: it is yours to remove" in done.kept
    pack(source, str(root), replace(SMALL, seed=1, overwrite=True))
    assert {name: (root / name).read_bytes() for name in theirs} == theirs


def test_what_a_describing_that_was_killed_half_wrote_goes(root: Path) -> None:
    describe(str(root), ["dali-index", "energon", "info", "croissant"])
    whole = contents(root)
    described = {name for name in whole if name not in files_of(read_manifest(str(root)))} - {"manifest.json"}
    described -= {name for name in described if name.endswith(".indexes")}
    for name in described:
        path = root / name
        path.with_name(f".{path.name}.tmp-123").write_bytes(b"half")
    assert len(verify(str(root), read_manifest(str(root)))) == len(described)
    prune(str(root))
    assert contents(root) == whole
