"""Indexing again: until the new manifest is there the earlier dataset is whole, and stays for who reads it."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from support.foreign_checks import contents, pictures_by_index
from support.foreign_tars import SYNSETS, dataset, samples, write
from tarn.sharding import storage
from tarn.sharding.__main__ import main
from tarn.sharding.errors import TarnError
from tarn.sharding.foreign.index import IndexConfig, index
from tarn.sharding.format.manifest import read_manifest
from tarn.sharding.verify import verify

# forks once for each file that indexing writes, renames or removes; each fork is killed right before that
KILLER = """
import os, shutil, signal, sys
from pathlib import Path
from tarn.sharding import storage
from tarn.sharding.foreign.index import IndexConfig, index
earlier, places, number, died = Path(sys.argv[1]), Path(sys.argv[2]), 0, True
while died:
    root = places / f"{number:03d}"
    shutil.copytree(earlier, root)
    process = os.fork()
    if not process:
        left = number
        def mortal(action):
            def act(*words):
                global left
                if not left:
                    os.kill(os.getpid(), signal.SIGKILL)
                left -= 1
                return action(*words)
            return act
        storage.publish = mortal(storage.publish)
        for name in ("link", "unlink", "replace"):
            setattr(os, name, mortal(getattr(os, name)))
        index(str(root), IndexConfig(label="txt", overwrite=True))
        os._exit(0)
    died = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) != 0
    number += 1
"""


def tars(root: Path, last: int = 20) -> Path:
    """The labels in txt are not those in cls."""
    for split, numbers in (("train", range(last)), ("val", range(100, 103))):
        for tar, start in enumerate(numbers[::10]):
            content = samples(range(start, min(start + 10, numbers[-1] + 1)))
            told = {key: {**parts, "txt": b"%d" % (int(parts["cls"]) % 2)} for key, parts in content.items()}
            write(root / split / f"{tar}.tar", told)
    return root


@pytest.mark.parametrize("indexed", [False, True], ids=["first", "again"])
def test_a_kill_at_any_moment_leaves_the_one_or_the_other_and_indexing_again_completes_it(
    indexed: bool, tmp_path: Path
) -> None:
    before, after, places = tars(tmp_path / "before"), tmp_path / "after", tmp_path / "places"
    old = index(str(before), IndexConfig()).manifest if indexed else None
    shutil.copytree(before, after)
    new = index(str(after), IndexConfig(label="txt", overwrite=True)).manifest
    subprocess.run([sys.executable, "-c", KILLER, str(before), str(places)], check=True)
    killed = sorted(places.iterdir())[:-1]
    assert len(killed) > 8
    published = []
    for root in killed:
        if (root / "manifest.json").exists():
            manifest = read_manifest(str(root))
            assert manifest in (old, new)
            published.append(manifest == new)
            assert all("indexing" in told or ".indexes" in told for told in verify(str(root), manifest))
            del manifest
        else:
            assert old is None
            with pytest.raises(TarnError, match="holds no packed dataset"):
                read_manifest(str(root))
        index(str(root), IndexConfig(label="txt", overwrite=indexed and not (published and published[-1])))
        assert contents(root) == contents(after), root
    assert published == sorted(published)
    assert not indexed or {True, False} == set(published)


def test_who_reads_the_earlier_index_goes_on_with_it_and_it_goes_when_nobody_does(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tars(tmp_path / "in")
    first = pictures_by_index(index(str(root), IndexConfig()))["train"]
    held = read_manifest(str(root))
    names = {shard.index_name: (root / shard.index_name).read_bytes() for shard in held.split("train").shards}
    assert main(["index", str(root), "--overwrite", "--label=txt"]) == 0
    assert "kept: 3 files of an earlier indexing, which is still read; the next one removes" in capsys.readouterr().out
    assert {name: (root / name).read_bytes() for name in names} == names
    second = pictures_by_index(index(str(root), IndexConfig()))["train"]
    assert [row[:2] for row in first] == [row[:2] for row in second]
    assert [row[2] for row in first] != [row[2] for row in second]
    assert main(["verify", str(root)]) == 0
    del held
    assert main(["verify", str(root)]) == 1
    assert "3 files of an earlier indexing, which nobody reads any more: index it again" in capsys.readouterr().err
    assert main(["index", str(root)]) == 0
    assert main(["verify", str(root)]) == 0
    assert sorted(path.name for path in (root / "train").iterdir()) == ["0.idx2", "0.tar", "1.idx2", "1.tar"]


def test_only_an_index_that_changed_gets_another_name_and_no_tar_is_ever_removed(tmp_path: Path) -> None:
    root = tars(tmp_path / "in")
    index(str(root), IndexConfig())
    write(root / "train" / "1.tar", samples(range(10, 17)))
    index(str(root), IndexConfig(overwrite=True))
    assert [shard.index_name for shard in read_manifest(str(root)).split("train").shards] == [
        "train/0.idx",
        "train/1.idx2",
    ]
    write(root / "train" / "1.tar", samples(range(10, 13)))
    index(str(root), IndexConfig(splits=("train=train/1.tar", "val=val/*"), overwrite=True))
    assert sorted(path.name for path in (root / "train").iterdir()) == ["0.tar", "1.idx", "1.tar"]
    assert verify(str(root), read_manifest(str(root))) == []


def test_what_was_lost_or_damaged_comes_back_under_its_name(tmp_path: Path) -> None:
    root = dataset(tmp_path / "in")
    (tmp_path / "names.txt").write_text(SYNSETS)
    index(str(root), IndexConfig(classes=tmp_path / "names.txt"))
    before = contents(root)
    (root / "my-train-0000.idx").unlink()
    (root / "my-val-0000.idx").write_bytes(before["my-val-0000.idx"][:-1])
    (root / "train.indexes").write_bytes(b"")
    index(str(root), IndexConfig(classes=tmp_path / "names.txt", overwrite=True))
    assert contents(root) == before


def test_a_disk_that_is_full_half_way_leaves_the_earlier_index_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, real = tars(tmp_path / "in"), storage.publish
    index(str(root), IndexConfig())
    before = contents(root)

    def full(url: str, data: bytes) -> None:
        if url.endswith("1.idx2"):
            raise TarnError(f"{url} cannot be written (No space left on device): check space and permissions.")
        real(url, data)

    monkeypatch.setattr(storage, "publish", full)
    with pytest.raises(TarnError, match="No space left"):
        index(str(root), IndexConfig(label="txt", overwrite=True))
    assert contents(root) == before
