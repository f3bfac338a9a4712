"""Tars whose samples have no class: captions, boxes, masks, pairs of pictures."""

import re
from pathlib import Path

import pytest

from support.foreign_tars import picture, write
from tarn.sharding.__main__ import main
from tarn.sharding.errors import TarnError
from tarn.sharding.foreign.index import IndexConfig, index
from tarn.sharding.format.manifest import UNLABELLED, parse_index
from tarn.training.__main__ import main as training

KINDS = {
    "captions": {"jpg": picture(1), "txt": b"a dog"},
    "boxes": {"jpg": picture(2), "json": b'{"boxes": [[0, 0, 1, 1]]}'},
    "masks": {"jpg": picture(3), "png": picture(4)},
    "pairs": {"left.jpg": picture(5), "right.jpg": picture(6)},
}


@pytest.mark.parametrize("kind", KINDS)
def test_samples_without_a_class_are_indexed_where_that_is_said(kind: str, tmp_path: Path) -> None:
    parts = KINDS[kind]
    root = write(tmp_path / "train-0.tar", {f"s{number}": parts for number in range(3)}).parent
    chosen = next(iter(parts))
    done = index(root, IndexConfig(label="none", picture=chosen))
    (shard,) = done.manifest.split("train").shards
    records = parse_index((root / shard.index_name).read_bytes(), "")
    assert done.manifest.classes == ()
    assert (records["label"] == UNLABELLED).all()
    raw = (root / shard.name).read_bytes()
    assert [raw[at : at + size] for at, size in records[["offset", "size"]].tolist()] == [parts[chosen]] * 3
    assert not index(root, IndexConfig(label="none", picture=chosen)).fresh
    for command in ("verify", "stats"):
        assert main([command, str(root)]) == 0
    assert main(["diff", str(root), str(root)]) == 0


def test_a_mistake_names_the_ways_out(tmp_path: Path) -> None:
    root = write(tmp_path / "train-0.tar", {"a": KINDS["captions"]}).parent
    with pytest.raises(TarnError, match=r"by --label txt, and say --label none if samples have no class"):
        index(root, IndexConfig())
    root = write(tmp_path / "two" / "train-0.tar", {"a": KINDS["masks"]}).parent
    with pytest.raises(TarnError, match=r"several pictures.*by --picture jpg \(or png\); the others are there"):
        index(root, IndexConfig(label="none"))


def test_what_needs_classes_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = write(tmp_path / "train-0.tar", {f"s{number}": KINDS["captions"] for number in range(3)}).parent
    assert main(["index", str(root), "--label", "none"]) == 0
    assert "Next: ShardLoader(..., fields=...)" in capsys.readouterr().out
    words = ["fit", f"--data.shards={root}", f"--out={tmp_path / 'run'}", "--data.val_fraction=0.5"]
    assert training(words) == 2
    assert re.search(r"has no classes .*ShardLoader", capsys.readouterr().err)
