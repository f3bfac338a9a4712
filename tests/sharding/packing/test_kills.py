"""kill -9 at random moments, and the same command again: the bytes are those of a packing that nobody disturbed.

A few kills here; more by hand, and what they were like:

    TARN_KILLS=200 python -m pytest -s -o faulthandler_timeout=0 tests/sharding/packing/test_kills.py
"""

import os
import random
import shutil
from pathlib import Path

import pytest

from servers.s3 import S3Server
from support.datasets import contents, picture_tree
from support.kills import Packer
from tarn.sharding.errors import TarnError
from tarn.sharding.format.manifest import Manifest, read_manifest
from tarn.sharding.packing.pack import PackConfig, pack
from tarn.sharding.verify import verify

KILLS = int(os.environ.get("TARN_KILLS", "6"))
SHARD, WORKERS = 20_000, 2
ROOM = WORKERS * int(SHARD * 1.1)  # tiles and an index beside


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return picture_tree(tmp_path / "source", train=30, val=4)


def words(source: Path, root: str, *more: str) -> list[str]:
    return [str(source), root, f"--shard-size={SHARD}", f"--workers={WORKERS}", *more]


@pytest.mark.parametrize("earlier", [False, True], ids=["first", "overwriting"])
def test_killed_packings_end_in_the_bytes_of_an_undisturbed_one(earlier: bool, source: Path, tmp_path: Path) -> None:
    before, alone, rng = tmp_path / "before", tmp_path / "alone", random.Random(7 + earlier)
    old = pack(source, str(before), PackConfig(shard_size=SHARD))[0] if earlier else None
    more = ["--seed=1", "--overwrite"] if earlier else []
    if earlier:
        shutil.copytree(before, alone)
    first = packer(alone, words(source, str(alone), *more))
    first.undisturbed()
    expected, new = contents(alone), read_manifest(str(alone))
    kills = rounds = most = 0
    while kills < KILLS // 2:
        root, rounds = tmp_path / f"round{rounds}", rounds + 1
        if earlier:
            shutil.copytree(before, root)
        again = packer(root, words(source, str(root), *more))
        again.starting, again.packing = first.starting, first.packing
        while kills < KILLS // 2 and not (through := again.killed(rng)):
            kills += 1
            if is_whole(root, old, new) and "--overwrite" in again.words:
                again.words.remove("--overwrite")  # it was published before the kill
        if not through:
            again.undisturbed()
        assert contents(root) == expected
        most = max(most, again.most)
        shutil.rmtree(root)
    print(f"\n{kills} kills in {rounds} packings of {first.packing:.1f} s, at most {most} of {ROOM} bytes lay aside")


def packer(root: Path, words: list[str]) -> Packer:
    return Packer(words, {}, lambda: list(root.glob(".staging-*")), ROOM)


def is_whole(root: Path, old: Manifest | None, new: Manifest) -> bool:
    """Whether the new dataset is published, nothing pending; until then the old one is there, every byte of it."""
    if old is None and not (root / "manifest.json").exists():
        with pytest.raises(TarnError, match="holds no packed dataset"):
            read_manifest(str(root))
        return False
    manifest = read_manifest(str(root))
    assert manifest in (old, new)
    assert all("packing" in line or ".indexes" in line for line in verify(str(root), manifest))
    return manifest == new and not (root / ".pending.json").exists()


def test_killed_packings_to_a_store_do_too(
    source: Path, tmp_path: Path, s3: S3Server, s3_env: dict[str, str], bucket: str
) -> None:
    rng, scratch = random.Random(9), tmp_path / "scratch"
    scratch.mkdir()
    environment = {**s3_env, "TMPDIR": str(scratch)}

    def packer(root: str) -> Packer:
        return Packer(words(source, root), environment, lambda: list(scratch.glob("tarn-packing-*")), ROOM)

    first = packer(f"{bucket}/alone")
    first.undisturbed()
    expected = stored(s3, f"{bucket}/alone/")
    kills = rounds = most = 0
    while kills < KILLS // 2:
        root, rounds = f"{bucket}/round{rounds}", rounds + 1
        again = packer(root)
        again.starting, again.packing = first.starting, first.packing
        while kills < KILLS // 2 and not (through := again.killed(rng)):
            kills += 1
        if not through:
            again.undisturbed()
        assert stored(s3, f"{root}/") == expected
        assert not list(scratch.glob("tarn-*"))
        most = max(most, again.most)
    print(f"\n{kills} kills in {rounds} packings of {first.packing:.1f} s, at most {most} of {ROOM} bytes lay aside")


def stored(s3: S3Server, url: str) -> dict[str, bytes]:
    bucket = url.removeprefix("s3://").partition("/")[0]
    return {key.removeprefix(url.partition(f"{bucket}/")[2]): s3.get(f"s3://{bucket}/{key}") for key in s3.keys(url)}
