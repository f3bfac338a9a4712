"""A packing in the place of an earlier one: the dataset is the one or the other at any moment, whole."""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from support.datasets import contents, picture_tree
from tarn.sharding import storage
from tarn.sharding.__main__ import main
from tarn.sharding.errors import TarnError, UsageError
from tarn.sharding.format import publication
from tarn.sharding.format.manifest import read_manifest
from tarn.sharding.packing.pack import PackConfig, pack
from tarn.sharding.packing.repair import repair
from tarn.sharding.sources.table import Table
from tarn.sharding.verify import verify

FIRST = PackConfig(shard_size=20_000)
SECOND = replace(FIRST, seed=1, overwrite=True)

# forks once for each operation of publishing; each fork packs and is killed right before that operation
KILLER = """
import os, shutil, signal, sys
from dataclasses import replace
from pathlib import Path
from tarn.sharding import storage
from tarn.sharding.packing.pack import PackConfig, pack
source, earlier, places, seed = Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4])
number, died = 0, True
while died:
    root = places / f"{number:03d}"
    if earlier.exists():
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
        for name in ("publish", "publish_file"):
            setattr(storage, name, mortal(getattr(storage, name)))
        for name in ("link", "unlink", "replace", "rename"):
            setattr(os, name, mortal(getattr(os, name)))
        pack(source, str(root), PackConfig(shard_size=20_000, seed=seed, overwrite=earlier.exists()))
        os._exit(0)
    died = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) != 0
    number += 1
"""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return picture_tree(tmp_path / "source")


def tars_told(told: list[str]) -> bool:
    """Whether all that verify tells is about what lies beside the dataset."""
    return all("packing" in line or ".indexes" in line for line in told)


def test_first_packings_have_the_names_and_bytes_of_ever_and_nothing_else(source: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        pack(source, str(tmp_path / name), FIRST)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    names = {name for name in contents(tmp_path / "a") if not name.endswith((".tar", ".idx"))}
    assert names == {"manifest.json", "train.indexes", "val.indexes"}
    assert (tmp_path / "a" / "train" / "train-000000.tar").exists()


def test_a_packing_that_replaces_another_takes_names_that_none_had(source: Path, tmp_path: Path) -> None:
    out, seen = tmp_path / "out", set[str]()
    for seed in range(3):
        manifest, _ = pack(source, str(out), replace(SECOND, seed=seed))
        names = {shard.name for split in manifest.splits.values() for shard in split.shards}
        assert not names & seen
        seen |= names
        assert {name for name in contents(out) if name.endswith(".tar")} == names
        assert verify(str(out), manifest) == []
    assert "train/train-g2-000000.tar" in seen


@pytest.mark.parametrize("earlier", [False, True], ids=["first", "overwriting"])
def test_a_kill_at_any_moment_leaves_the_one_or_the_other_and_packing_again_completes_it(
    earlier: bool, source: Path, tmp_path: Path
) -> None:
    before, after, places = tmp_path / "before", tmp_path / "after", tmp_path / "places"
    if earlier:
        pack(source, str(before), FIRST)
        shutil.copytree(before, after)
    pack(source, str(after), replace(SECOND, overwrite=earlier))
    old, new = (read_manifest(str(before)) if earlier else None), read_manifest(str(after))
    command = [sys.executable, "-c", KILLER, str(source), str(before), str(places), "1"]
    subprocess.run(command, check=True)
    killed = sorted(places.iterdir())[:-1]
    assert len(killed) > 20
    found = []
    for root in killed:
        if (root / "manifest.json").exists():
            manifest = read_manifest(str(root))
            assert manifest in (old, new)
            found.append(manifest == new)
            assert tars_told(verify(str(root), manifest)), root
            del manifest
        else:
            assert old is None
            with pytest.raises(TarnError, match=r"holds no packed dataset"):
                read_manifest(str(root))
        pack(source, str(root), replace(SECOND, overwrite=not (found and found[-1]) and earlier))
        assert contents(root) == contents(after), root
    assert found == sorted(found)
    assert not earlier or {True, False} == set(found)


def test_what_fails_on_the_way_leaves_the_earlier_packing_whole_and_is_gone_on_with(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, alone, real, left = tmp_path / "out", tmp_path / "alone", storage.publish_file, 5
    before = pack(source, str(out), FIRST)[0]
    shutil.copytree(out, alone)
    pack(source, str(alone), SECOND)

    def full(path: Path, url: str) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise TarnError(f"{url} cannot be written (No space left on device).")
        real(path, url)

    monkeypatch.setattr(storage, "publish_file", full)
    with pytest.raises(TarnError, match=r"No space left") as caught:
        pack(source, str(out), SECOND)
    assert re.fullmatch(r"2 of \d+ shards are done, and kept: .*", caught.value.__notes__[0])
    assert read_manifest(str(out)) == before
    (told,) = verify(str(out), before)
    assert "of a packing that did not come to its end, 2 of" in told
    monkeypatch.undo()
    lines: list[str] = []
    pack(source, str(out), SECOND, lines.append)
    assert lines[1].startswith("going on with an unfinished packing: 2 of ")
    assert contents(out) == contents(alone)


@pytest.mark.parametrize(
    ("when", "told"), [("announce", "nothing was published."), ("sweep", "is published and whole")]
)
def test_an_interrupt_tells_truly_whether_anything_was_published(
    when: str,
    told: str,
    source: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "out"
    old, _ = pack(source, str(out), FIRST)
    real: Callable[..., Any] = getattr(publication, when)

    def interrupted(*words: Any) -> None:
        if when == "announce" or (len(words) == 3 and words[1] is not None):  # not the tidying before
            monkeypatch.setattr(publication, when, real)
            raise KeyboardInterrupt
        real(*words)

    monkeypatch.setattr(publication, when, interrupted)
    words = ["pack", str(source), str(out), "--shard-size=20kB", "--workers=1", "--seed=1"]
    assert main([*words, "--overwrite"]) == 130
    assert told in capsys.readouterr().err
    assert (read_manifest(str(out)) == old) == (when == "announce")
    problems = verify(str(out), read_manifest(str(out)))
    assert len(problems) == 2 * (when == "sweep")  # records and the earlier shards
    assert not problems or "of an earlier packing, which nobody reads any more: pack it again" in problems[1]
    if when == "sweep":
        assert main(words) == 0
        assert verify(str(out), read_manifest(str(out))) == []
        assert {path.name.split("-")[1] for path in out.rglob("*.tar")} == {"g1"}


def test_what_is_held_stays_until_it_is_let_go(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    pack(source, str(out), FIRST)
    words = ["pack", str(source), str(out), "--shard-size=20kB", "--workers=1", "--seed=1"]
    held = read_manifest(str(out))
    assert main([*words, "--overwrite"]) == 0
    assert "of an earlier packing, which is still read; the next one removes them" in capsys.readouterr().out
    assert main(["verify", str(out)]) == 0
    assert main([*words, "--prune"]) == 0
    for shard in (shard for split in held.splits.values() for shard in split.shards):
        assert (out / shard.name).stat().st_size == shard.bytes
        assert (out / shard.index_name).exists()
    del held, shard
    assert main(["verify", str(out)]) == 1
    assert main(words) == 0
    assert {path.name.split("-")[1] for path in out.rglob("*.tar")} == {"g1"}
    assert main(["verify", str(out)]) == 0


def test_a_split_that_two_packings_share_stays_for_the_one_that_is_held(source: Path, tmp_path: Path) -> None:
    out = str(tmp_path / "out")
    pack(source, out, FIRST)
    held = read_manifest(out)
    pack(source, out, replace(SECOND, split="train"))
    pack(source, out, replace(SECOND, split="val"))
    assert all(Path(out, shard.name).exists() for split in held.splits.values() for shard in split.shards)
    assert verify(out, read_manifest(out)) == []


def test_a_reader_that_is_killed_holds_nothing(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    pack(source, str(out), FIRST)
    text = "import sys, time; from tarn.sharding.format.manifest import read_manifest\n"
    text += "held = read_manifest(sys.argv[1]); print('held', flush=True); time.sleep(600)"
    reader = subprocess.Popen([sys.executable, "-c", text, str(out)], stdout=subprocess.PIPE, text=True)
    assert reader.stdout is not None
    with reader:
        try:
            assert reader.stdout.readline() == "held\n"
            pack(source, str(out), SECOND)
            assert (out / "train" / "train-000000.tar").exists()
        finally:
            os.kill(reader.pid, signal.SIGKILL)
    pack(source, str(out), replace(SECOND, overwrite=False))
    assert not (out / "train" / "train-000000.tar").exists()


def test_replacing_one_split_never_takes_another_of_other_classes_away(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    pack(source, str(out), FIRST)
    (source / "train" / "class0").rename(source / "train" / "another")
    (source / "val" / "class0").rename(source / "val" / "another")
    before = contents(out)
    with pytest.raises(UsageError, match="holds the split 'val' too, of other classes, which would be lost"):
        pack(source, str(out), replace(SECOND, split="train"))
    assert contents(out) == before
    shutil.rmtree(source / "val")
    told: list[str] = []
    pack(source, str(out), SECOND, told.append)
    assert told[-1] == "goes with what is replaced: the split 'val', of other classes"
    assert verify(str(out), read_manifest(str(out))) == []


def test_a_split_stays_when_another_comes_whose_source_calls_the_same_classes_otherwise(tmp_path: Path) -> None:
    """A list of classes gives them names; a tree has the names of its folders alone."""
    source, out = picture_tree(tmp_path / "in"), tmp_path / "out"
    rows = "".join(f"train/class{number}/train0.jpg,class{number}\n" for number in range(3))
    (source / "rows-train.csv").write_text(f"path,label\n{rows}")
    (tmp_path / "classes.txt").write_text("".join(f"class{number}\ta name of it\n" for number in range(3)))
    named = replace(FIRST, table=Table(class_list=str(tmp_path / "classes.txt")))
    pack(source / "rows-train.csv", str(out), named)
    pack(source, str(out), replace(FIRST, split="val"))
    assert {name: it.samples for name, it in read_manifest(str(out)).splits.items()} == {"train": 3, "val": 6}
    assert read_manifest(str(out)).classes[0].name == "a name of it"
    (out / "train" / "train-000000.tar").unlink()
    assert repair(str(out), source / "rows-train.csv", table=named.table) == ("train/train-000000.tar",)
    assert verify(str(out), read_manifest(str(out))) == []
