"""What is broken or missing of a dataset comes back from its source, the same bytes; nothing else is touched."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from support.datasets import contents, picture_tree
from support.foreign_tars import dataset
from tarn.sharding.__main__ import main
from tarn.sharding.errors import TarnError, UsageError
from tarn.sharding.foreign.index import IndexConfig, index
from tarn.sharding.format.manifest import read_manifest
from tarn.sharding.packing.pack import PackConfig, pack
from tarn.sharding.packing.preparation import Preparation
from tarn.sharding.packing.repair import repair
from tarn.sharding.verify import verify

CONFIG = PackConfig(shard_size=20_000, seed=3, bad="skip")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    root = picture_tree(tmp_path / "source")
    for name in ("train/class0/train3.jpg", "train/class1/train0.jpg"):
        (root / name).write_bytes((root / name).read_bytes()[:200])
    return root


@pytest.fixture
def out(source: Path, tmp_path: Path) -> Path:
    pack(source, str(tmp_path / "out"), CONFIG)
    return tmp_path / "out"


HARM: dict[str, Callable[[Path], object]] = {
    "train/train-000001.tar": lambda path: path.unlink(),
    "train/train-000002.tar": lambda path: path.write_bytes(path.read_bytes()[:-1] + b"x"),
    "train/train-000003.idx": lambda path: path.write_bytes(path.read_bytes()[:50]),
    "val/val-000000.idx": lambda path: path.unlink(),
    "train.bad-pictures.jsonl": lambda path: path.unlink(),
    "train.indexes": lambda path: path.unlink(),
    "val.indexes": lambda path: path.write_bytes(b"x"),
}


@pytest.mark.parametrize("names", [*([name] for name in HARM), list(HARM)], ids=[*HARM, "all of it"])
def test_what_is_broken_or_missing_is_made_anew_and_nothing_else(
    names: list[str], source: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = contents(out)
    for name in names:
        HARM[name](out / name)
    untouched = {path: path.stat().st_mtime_ns for path in out.glob("*/*.tar") if path.stem not in str(names)}
    assert main(["repair", str(out), str(source)]) == 0
    assert capsys.readouterr().out.count("made anew: ") == len(names)
    assert contents(out) == before
    assert {path: path.stat().st_mtime_ns for path in untouched} == untouched
    assert verify(str(out), read_manifest(str(out))) == []
    assert main(["repair", str(out), str(source)]) == 0
    assert "sound, nothing was to be made" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("preparation", "workers"), [(Preparation(tile=0), 2), (Preparation(max_side=30), 1), (Preparation(quality=70), 1)]
)
def test_the_recorded_options_are_those_of_the_packing(
    preparation: Preparation, workers: int, source: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    pack(source, str(out), replace(CONFIG, preparation=preparation))
    before = contents(out)
    for tar in out.glob("train/*.tar"):
        tar.unlink()
    assert len(repair(str(out), source, workers)) > 2
    assert contents(out) == before


def test_a_packing_that_replaced_another_is_repaired_under_its_names(source: Path, out: Path) -> None:
    pack(source, str(out), replace(CONFIG, seed=4, overwrite=True))
    before = contents(out)
    (out / "train" / "train-g1-000002.tar").unlink()
    assert repair(str(out), source) == ("train/train-g1-000002.tar",)
    assert contents(out) == before


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda tree: (tree / "train" / "class0" / "train0.jpg").unlink(), "it has 23 pictures, 24 were packed"),
        (
            lambda tree: (tree / "train" / "class0" / "train0.jpg").write_bytes(b"another"),
            "names, labels or sizes of its pictures differ",
        ),
        (
            lambda tree: (tree / "train" / "class0").rename(tree / "train" / "class9"),
            "its 3 classes are not the 3 that were packed",
        ),
    ],
)
def test_another_source_is_refused(change: Callable[[Path], object], told: str, source: Path, out: Path) -> None:
    (out / "train" / "train-000001.tar").unlink()
    before = contents(out)
    change(source)
    if "classes" in told:
        (source / "val" / "class0").rename(source / "val" / "class9")
    with pytest.raises(UsageError, match=rf"is not what the split 'train' of .* was packed from \({told}\)"):
        repair(str(out), source)
    assert contents(out) == before


def test_a_picture_of_the_same_size_and_other_bytes_is_found_before_anything_is_replaced(
    source: Path, out: Path
) -> None:
    path = source / "train" / "class0" / "train0.jpg"
    data = bytearray(path.read_bytes())
    data[-100] ^= 1  # of the pixels
    for tar in out.glob("train/*.tar"):
        tar.write_bytes(tar.read_bytes()[:-512])
    path.write_bytes(data)
    with pytest.raises(TarnError, match=r"cannot be made as it was, its pictures gave other bytes.*a picture changed"):
        repair(str(out), source)
    assert not list(out.glob(".staging-*"))


def test_another_encoder_is_refused(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"
    pack(source, str(out), replace(CONFIG, preparation=Preparation(quality=70)))
    (out / "train" / "train-000001.tar").unlink()
    monkeypatch.setattr("PIL.__version__", "1.2.3")
    with pytest.raises(UsageError, match=r"packed with another encoder \(Pillow .*\) than is here"):
        repair(str(out), source)


def test_tars_of_somebody_else_are_refused(source: Path, tmp_path: Path) -> None:
    root = dataset(tmp_path / "tars")
    index(str(root), IndexConfig())
    with pytest.raises(UsageError, match="were packed elsewhere: index them again"):
        repair(str(root), source)


@pytest.mark.parametrize("name", ["../../escaped/train-000000.tar", "{above}/escaped/train-000000.tar"])
def test_a_manifest_that_names_other_places_has_nothing_written_there(
    name: str, source: Path, out: Path, tmp_path: Path
) -> None:
    told = json.loads((out / "manifest.json").read_text())
    told["splits"]["train"]["shards"][0]["name"] = name.format(above=tmp_path)
    (out / "manifest.json").write_text(json.dumps(told))
    before = contents(out.parent)
    with pytest.raises(TarnError, match=r"is not a Tarn manifest"):
        repair(str(out), source)
    assert contents(out.parent) == before


def test_less_than_one_process_is_refused(source: Path, out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (out / "train" / "train-000000.tar").unlink()
    assert main(["repair", str(out), str(source), "--workers", "-1"]) == 2
    assert capsys.readouterr().err == "error: --workers=-1 must be at least 1.\n"
