"""What samples of others hold beside picture and label, when they are packed anew."""

import io
import tarfile
import warnings
from pathlib import Path

import fsspec
import numpy as np
import pytest
from PIL import Image

from support.foreign_tars import write, write_members
from support.loaders import shard_loader
from tarn.sharding.__main__ import main
from tarn.sharding.format.manifest import UNLABELLED
from tarn.sharding.packing.pack import PackConfig, pack
from tarn.sharding.resharding.words import SampleWords
from tarn.sharding.sources.find import read_source
from tarn.training.streaming import Boxes, Mask, Text

with warnings.catch_warnings(action="ignore"):
    import webdataset

Members = dict[str, dict[str, bytes]]  # by key and ending
COUNT = 12


def encoded(number: int, kind: str, mode: str = "RGB") -> bytes:
    pixels, out = np.random.default_rng(number).integers(0, 256, (48, 64, 3), np.uint8), io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(out, kind)
    return out.getvalue()


def sample(number: int) -> dict[str, bytes]:
    """As somebody has it: the picture neither first nor last."""
    return {
        "boxes.json": f"[[{number}, 2, 30, 40]]".encode(),
        "cls": str(number % 3).encode(),
        "jpg": encoded(number, "JPEG"),
        "mask.png": encoded(number + 100, "PNG", "L"),
        **({"txt": f"caption {number}".encode()} if number % 2 else {}),
    }


@pytest.fixture
def tars(tmp_path: Path) -> Path:
    for tar in range(2):
        content = {f"s{number:02d}": sample(number) for number in range(6 * tar, 6 * tar + 6)}
        write(tmp_path / "tars" / f"train-{tar}.tar", content)
    return tmp_path / "tars"


def told(tars: Path, *words: str) -> tuple[int, str]:
    return main(["pack", str(tars), str(tars.parent / "out"), "--workers=1", *words]), str(tars.parent / "out")


def by_library(root: str) -> Members:
    """As the webdataset library groups them."""
    urls = sorted(str(path) for path in Path(root).glob("train/*.tar"))
    with warnings.catch_warnings(action="ignore"):
        found = list(webdataset.WebDataset(urls, shardshuffle=False))
    return {each["__key__"]: {name: data for name, data in each.items() if not name.startswith("__")} for each in found}


def test_members_go_along_byte_by_byte_and_again_from_what_was_packed(
    tars: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out = told(tars, "--no-tile")
    assert code == 0
    assert "goes along: 12 .boxes.json, 12 .mask.png, 6 .txt" in capsys.readouterr().out
    wanted = {f"s{number:02d}": sample(number) for number in range(COUNT)}
    assert by_library(out) == wanted
    again = str(tars.parent / "again")
    assert main(["pack", out, again, "--workers=1", "--no-tile"]) == 0
    assert main(["diff", out, again]) == 0
    assert by_library(again) == wanted


def test_what_is_packed_of_them_is_sound_described_shown_and_repaired(
    tars: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, out = told(tars, "--dali-index", "--energon", "--croissant")
    assert main(["verify", out, "--decode", f"--source={tars}"]) == 0
    assert main(["show", out, "s03"]) == 0
    assert "beside   .txt, 9 bytes" in capsys.readouterr().out
    (shard,) = Path(out).glob("train/*.tar")
    whole = shard.read_bytes()
    shard.write_bytes(whole[:-3000])
    assert main(["repair", out, str(tars)]) == 0
    assert shard.read_bytes() == whole


def test_another_member_is_a_difference(tars: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, out = told(tars)
    other = {f"s{number:02d}": {**sample(number), "boxes.json": b"[]"} for number in range(6)}
    write(tars / "train-0.tar", other)
    assert main(["pack", str(tars), str(tars.parent / "other"), "--workers=1"]) == 0
    capsys.readouterr()
    assert main(["diff", out, str(tars.parent / "other")]) == 1
    assert "6 of other members beside the picture" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("chosen", "stay"), [("txt", {"txt"}), ("none", set[str]()), (".TXT, mask.png", {"txt", "mask.png"})]
)
def test_those_that_are_named_go_along_alone(chosen: str, stay: set[str], tars: Path) -> None:
    code, out = told(tars, f"--members={chosen}")
    assert code == 0
    assert {ending for found in by_library(out).values() for ending in found} == {"cls", "jpg", *stay}
    assert main(["pack", str(tars), out, "--workers=1", f"--members={chosen}"]) == 0  # it is current
    assert main(["verify", out, f"--source={tars}"]) == 0


def test_samples_without_a_class_become_tiled_shards_that_a_loader_reads_as_the_tars(
    tars: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out = told(tars, "--label=none")
    assert code == 0
    assert "no classes. Next: ShardLoader(..., fields=...)" in capsys.readouterr().out
    (split,) = read_source(out, "all").splits.values()
    assert {picture.label for picture in split} == {UNLABELLED}
    assert not any("cls" in found for found in by_library(out).values())
    assert main(["verify", out, f"--source={tars}"]) == 0
    fields = {"mask": Mask("mask.png"), "boxes": Boxes("boxes.json"), "caption": Text("txt", optional=True)}
    loader = shard_loader(out, fields=fields, global_batch=COUNT, image_size=32, num_workers=1, keys=True)
    (batch,) = loader
    assert sorted(batch.keys) == [f"s{number:02d}" for number in range(COUNT)]
    for key, caption in zip(batch.keys, batch.caption, strict=True):
        assert caption == (f"caption {int(key[1:])}" if int(key[1:]) % 2 else "")


def test_a_cls_that_does_not_tell_the_label_stays_behind_and_is_told(
    tars: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = {f"s{number:02d}": {**sample(number), "kind.txt": b"5"} for number in range(6)}
    write(tars / "train-0.tar", content)
    out = str(tars / "out")
    assert main(["pack", f"{tars}/train-0.tar", out, "--label=kind.txt", "--workers=1"]) == 0
    assert "stays behind: 6 .cls" in capsys.readouterr().out
    assert {found["cls"] for found in by_library(out).values()} == {b"5"}  # not its own
    assert {found["kind.txt"] for found in by_library(out).values()} == {b"5"}


def test_members_that_would_not_fit_a_changed_picture_are_asked_for(
    tars: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert told(tars, "--short-side=32")[0] == 2
    assert "would not fit any more" in capsys.readouterr().err
    code, out = told(tars, "--short-side=32", "--members=txt")
    assert code == 0
    assert by_library(out)["s03"]["txt"] == b"caption 3"


def test_a_member_that_no_sample_has_is_told(tars: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert told(tars, "--members=text")[0] == 2
    assert "--members names text, and no sample has one" in capsys.readouterr().err
    assert told(tars, "--members=a b")[0] == 2
    assert "'a b', which is no ending" in capsys.readouterr().err


@pytest.mark.parametrize(("ending", "why"), [("x" * 99, "of 100 letters"), ("später", "of 100 letters")])
def test_a_member_that_no_shard_can_name_is_an_error_not_a_loss(
    ending: str, why: str, tars: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    members = [(f"s00.{name}", data) for name, data in {**sample(0), ending: b"1"}.items()]
    write_members(tars / "train-0.tar", members, tarfile.PAX_FORMAT)
    code, out = told(tars, "--bad=skip")
    assert code == 1
    assert why in capsys.readouterr().err
    assert not (Path(out) / "manifest.json").exists()
    assert told(tars, "--members=txt")[0] == 0


def test_a_second_picture_of_the_name_that_the_first_one_gets_is_an_error(
    tars: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = {f"s{number:02d}": {**sample(number), "input.jpg": encoded(number, "JPEG")} for number in range(6)}
    write(tars / "train-0.tar", content)
    assert main(["pack", f"{tars}/train-0.tar", str(tars / "out"), "--picture=input.jpg", "--workers=1"]) == 1
    assert "a member of it would be called s00.jpg, as its picture is" in capsys.readouterr().err


def test_members_in_a_store_go_along_too(tars: Path) -> None:
    there = fsspec.filesystem("memory")
    for path in tars.iterdir():
        there.pipe(f"/members/{path.name}", path.read_bytes())
    config = PackConfig(workers=1, samples=SampleWords())
    for source, out in (("memory://members", "far"), (str(tars), "near")):
        pack(source, tars.parent / out, config)
    assert by_library(str(tars.parent / "far")) == by_library(str(tars.parent / "near"))
