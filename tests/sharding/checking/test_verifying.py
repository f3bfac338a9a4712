"""verify: the same verdict by one process and by several, in little memory, and what it tells of each damage."""

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import tracemalloc
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from support.datasets import picture_tree
from support.foreign_tars import dataset
from support.processes import end_within
from support.web import served
from tarn.sharding.__main__ import main
from tarn.sharding.checking.watching import watched
from tarn.sharding.errors import UsageError
from tarn.sharding.foreign.index import IndexConfig, index
from tarn.sharding.format.archive import BLOCK, closing, entry
from tarn.sharding.format.manifest import (
    RECORD,
    ClassInfo,
    Manifest,
    ShardInfo,
    Split,
    index_bytes,
    parse_index,
    read_manifest,
)
from tarn.sharding.packing.pack import PackConfig, pack
from tarn.sharding.packing.preparation import Preparation
from tarn.sharding.sources.selection import Selection
from tarn.sharding.verify import VerifyConfig, verify

KEPT = PackConfig(shard_size=10_000, preparation=Preparation(tile=0))


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return picture_tree(tmp_path / "source")


@pytest.fixture
def root(source: Path, tmp_path: Path) -> Path:
    pack(source, str(tmp_path / "out"), KEPT)
    return tmp_path / "out"


def told(root: Path, **config: object) -> list[str]:
    return verify(str(root), read_manifest(str(root)), VerifyConfig(**config))  # type: ignore[arg-type]


def flip(path: Path, at: int) -> None:
    raw = bytearray(path.read_bytes())
    raw[at] ^= 1
    path.write_bytes(raw)


def forge(root: Path, shard: str) -> None:
    """Writes the digests of a shard and its index, as they lie there, into the manifest."""
    path = root / "manifest.json"
    manifest = json.loads(path.read_text())
    for info in (it for split in manifest["splits"].values() for it in split["shards"] if it["name"] == shard):
        info["sha256"] = hashlib.sha256((root / shard).read_bytes()).hexdigest()
        info["index_sha256"] = hashlib.sha256((root / shard).with_suffix(".idx").read_bytes()).hexdigest()
    path.write_text(json.dumps(manifest))
    for gathered in root.glob("*.indexes"):
        gathered.unlink()


def records_of(root: Path, shard: str) -> np.ndarray[tuple[int], np.dtype[np.void]]:
    path = (root / shard).with_suffix(".idx")
    return parse_index(path.read_bytes(), str(path)).copy()  # type: ignore[return-value]


@pytest.mark.parametrize("workers", [1, 2])
def test_any_number_of_processes_tells_the_same(workers: int, root: Path) -> None:
    assert told(root, workers=workers, decode=True) == []
    flip(root / "train" / "train-000002.tar", 1600)
    flip(root / "val" / "val-000000.idx", 20)
    (root / "train" / "train-000001.tar").unlink()
    found = told(root, workers=workers)
    assert len(found) == 3
    assert "train-000001.tar cannot be read (it is not there)" in found[0]
    assert "train-000002.tar does not have the SHA-256 of the manifest" in found[1]
    assert "val-000000.idx does not have the SHA-256 of the manifest" in found[2]


def test_tars_of_others_are_verified_by_several_processes_too(tmp_path: Path) -> None:
    root = dataset(tmp_path / "tars")
    index(str(root), IndexConfig())
    assert told(root, workers=2) == []
    flip(root / "my-train-0001.tar", 600)
    (problem,) = told(root, workers=2)
    assert "my-train-0001.tar does not have the SHA-256" in problem


def test_processes_reach_the_store_by_what_the_command_was_told(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--workers", "2", "--storage-option", "client_kwargs.headers.X-Key=open sesame"]
    with served(root, key="open sesame") as web:
        assert main(["verify", web.url, *words]) == 0, capsys.readouterr().err


def test_fast_reads_no_tar_and_misses_sizes_presence_and_indexes(root: Path) -> None:
    flip(root / "train" / "train-000000.tar", 1600)
    assert told(root, fast=True) == []
    (root / "train" / "train-000001.tar").unlink()
    with (root / "train" / "train-000002.tar").open("ab") as file:
        file.write(b"\0")
    flip(root / "train" / "train-000003.idx", 20)
    (root / "train.indexes").unlink()
    missing, longer, changed = told(root, fast=True)
    assert "it is not there" in missing
    assert "bytes, the manifest says" in longer
    assert "train-000003.idx does not have the SHA-256" in changed


def test_fast_is_not_asked_for_what_needs_the_tars(root: Path, source: Path) -> None:
    for words in (["--decode"], ["--source", str(source)]):
        assert main(["verify", str(root), "--fast", *words]) == 2
    with pytest.raises(UsageError, match="at least 1"):
        VerifyConfig(workers=0)


def test_a_crc_that_is_not_the_pictures_is_told(root: Path) -> None:
    name = "train/train-000000.tar"
    records = records_of(root, name)
    records["crc32"][1] ^= 1
    (root / name).with_suffix(".idx").write_bytes(index_bytes(records))
    forge(root, name)
    (problem,) = told(root)
    assert "does not have the CRC-32 of the index" in problem


def test_a_label_and_a_place_that_are_not_the_tars_are_told(root: Path) -> None:
    name = "train/train-000000.tar"
    records = records_of(root, name)
    records["label"][0] = (records["label"][0] + 1) % 3
    records["offset"][1] += 1
    (root / name).with_suffix(".idx").write_bytes(index_bytes(records))
    forge(root, name)
    label, place = told(root)
    assert "in the tar and" in label
    assert "lies at [(" in place


def write_shard(root: Path, number: int, samples: dict[str, bytes]) -> ShardInfo:
    """Of the train split, every label 0."""
    body, rows, at = list[bytes](), [], 0
    for key, picture in samples.items():
        pieces = [*entry(f"{key}.cls", b"0"), *entry(f"{key}.jpg", picture)]
        rows.append((at + 3 * BLOCK, len(picture), 0, zlib.crc32(picture)))
        body += pieces
        at += sum(map(len, pieces))
    name, tar = f"train/train-{number:06d}.tar", b"".join([*body, closing(at)])
    idx = index_bytes(np.array(rows, RECORD))
    (root / "train").mkdir(exist_ok=True)
    (root / name).write_bytes(tar)
    (root / name).with_suffix(".idx").write_bytes(idx)
    return ShardInfo(name, len(rows), len(tar), *(hashlib.sha256(it).hexdigest() for it in (tar, idx)))


def write_dataset(root: Path, shards: Sequence[dict[str, bytes]]) -> Path:
    infos = tuple(write_shard(root, number, samples) for number, samples in enumerate(shards))
    (root / "manifest.json").write_text(Manifest((ClassInfo("x", "x"),), {"train": Split(infos)}).to_json())
    return root


def test_a_key_that_comes_again_in_another_shard_is_named(tmp_path: Path) -> None:
    root = write_dataset(tmp_path, [{"a": b"a" * 600, "b": b"b" * 600}, {"c": b"c" * 600, "b": b"d" * 600}])
    (problem,) = told(root)
    assert problem.endswith("train-000001.tar: the key b comes more than once.")


def test_decode_finds_the_picture_whose_pixels_are_damaged(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = source / "train" / "class1" / "noise.png"
    Image.effect_noise((64, 64), 50).save(path)
    flip(path, path.stat().st_size // 2)  # its header is right, and its end is there
    out = tmp_path / "out"
    pack(source, str(out), PackConfig(preparation=Preparation(tile=0, check="off")))
    assert told(out) == []
    (problem,) = told(out, decode=True)
    assert "cannot be decoded (" in problem
    (place,) = re.findall(r"`show` names it, as (\S+);", problem)
    assert main(["show", str(out), place]) == 0
    assert "noise" in capsys.readouterr().out


def test_a_large_shard_takes_little_memory(tmp_path: Path) -> None:
    """60 MB, of pictures of 2 MB."""
    root = write_dataset(tmp_path, [{str(number): bytes(2_000_000) for number in range(30)}])
    assert told(root, workers=1) == []  # what is imported by this does not count
    tracemalloc.start()
    assert told(root, workers=1) == []
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8_000_000


def test_every_picture_goes_by_whole_however_the_stream_is_cut() -> None:
    data = bytes(range(256)) * 40
    records = np.array([(5, 100, 0, 0), (105, 0, 0, 0), (400, 3000, 0, 0), (3400, 1, 0, 0), (9000, 1240, 0, 0)], RECORD)
    for step in (1, 7, 100, 4096, len(data)):
        found = dict[int, bytes]()
        pieces = [data[at : at + step] for at in range(0, len(data), step)]
        assert b"".join(watched(iter(pieces), records, found.__setitem__)) == data
        assert found == {
            row: data[int(r["offset"]) : int(r["offset"]) + int(r["size"])] for row, r in enumerate(records)
        }


def test_labels_are_compared_with_the_source(source: Path, root: Path) -> None:
    assert told(root, source=source) == []
    moved = source / "train" / "class0" / "train3.jpg"
    moved.rename(source / "train" / "class1" / "moved.jpg")
    (source / "val" / "class2" / "val1.jpg").rename(source / "val" / "class2" / "more.jpg")
    train, missing, val, left = told(root, source=source)
    assert "1 picture that is not at the source (class0/train3)" in train
    assert "1 picture of the source that is missing (class1/moved)" in missing
    assert "(class2/val1)" in val
    assert "(class2/more)" in left


def test_a_label_that_the_source_tells_otherwise_is_told(pictures: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(pictures, copy)
    pack(copy, str(tmp_path / "out"), PackConfig(split="val"))
    table = copy / "LOC_val_solution.csv"
    header, first, *rows = table.read_text().splitlines()
    name, wnid = first.split(",")[0], first.split(",")[1].split()[0]
    other = next(row.split(",")[1].split()[0] for row in rows if row.split(",")[1].split()[0] != wnid)
    table.write_text("\n".join([header, first.replace(wnid, other), *rows]) + "\n")
    (problem,) = told(tmp_path / "out", source=copy)
    assert f"1 picture of another label ({name}: {wnid} there, {other} at the source)" in problem


def test_a_part_is_compared_with_the_same_part_of_the_source(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "part"
    pack(source, str(out), PackConfig(selection=Selection(classes=("class2", "class0"), subset=0.5)))
    assert told(out, source=source) == []


def test_pictures_that_were_skipped_are_not_missing(source: Path, tmp_path: Path) -> None:
    (source / "train" / "class0" / "train0.jpg").write_bytes(b"no picture")
    out = tmp_path / "skipped"
    pack(source, str(out), PackConfig(bad="skip"))
    assert told(out, source=source) == []


def test_what_mends_it_is_told_last(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    next(root.glob("train/*.tar")).unlink()
    assert main(["verify", str(root), "--fast"]) == 1
    *_, count, last = capsys.readouterr().out.splitlines()
    assert ": 1 problem (" in count
    assert last == f"{root}: `python -m tarn.sharding repair {root} SRC` makes anew what is broken or missing"


def test_a_manifest_of_more_samples_than_the_index_is_not_sound(tmp_path: Path) -> None:
    out = tmp_path / "out"
    pack(picture_tree(tmp_path / "source"), str(out), PackConfig())
    told = json.loads((out / "manifest.json").read_text())
    told["splits"]["train"]["shards"][0]["samples"] += 1
    (out / "manifest.json").write_text(json.dumps(told))
    problems = verify(str(out), read_manifest(str(out)), VerifyConfig(fast=True))
    assert f"{out}/train/train-000000.idx is not of 25 samples, as the manifest says." in problems


@pytest.mark.parametrize("victim", ["parent", "child"])
def test_a_kill_ends_all_processes_and_is_told_where_somebody_is_left_to(victim: str, tmp_path: Path) -> None:
    """A tar that is a pipe holds the processes at work until the test has killed one."""
    out = tmp_path / "out"
    pack(picture_tree(tmp_path / "source"), str(out), PackConfig(shard_size=10_000))
    first = read_manifest(str(out)).split("train").shards[0]
    (out / first.name).unlink()
    os.mkfifo(out / first.name)
    told = json.loads((out / "manifest.json").read_text())
    told["splits"]["train"]["shards"][0]["bytes"] = 0  # a pipe's
    (out / "manifest.json").write_text(json.dumps(told))
    words = [sys.executable, "-m", "tarn.sharding", "verify", str(out), "--workers=2"]
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as parent:
        while len(children := children_of(parent.pid)) < 2:
            assert parent.poll() is None
            time.sleep(0.01)
        os.kill(parent.pid if victim == "parent" else children[0], signal.SIGKILL)
        said = parent.communicate(timeout=60)[1]
    assert end_within(20, children)
    if victim == "child":
        assert parent.returncode == 1
        assert said.splitlines()[-1].startswith("error: verifying stopped, for one of its processes was killed")


def children_of(process: int) -> list[int]:
    """Those of its pool; the resource tracker is none."""
    found = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    return [int(it) for it in found if b"spawn_main" in Path(f"/proc/{it}/cmdline").read_bytes()]
