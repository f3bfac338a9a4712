import csv
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from support.checkout import REAL_PICTURES
from support.datasets import picture_tree
from support.jpegs import pixels
from tarn.sharding.__main__ import main
from tarn.sharding.errors import TarnError, UsageError
from tarn.sharding.format.manifest import read_manifest
from tarn.sharding.packing.pack import PackConfig, pack
from tarn.sharding.packing.plan import plan_shards, tar_bytes
from tarn.sharding.packing.preparation import Preparation
from tarn.sharding.sizes import parse_size
from tarn.sharding.sources import Picture
from tarn.sharding.sources.place import File
from tarn.sharding.verify import verify

SMALL = PackConfig(shard_size=1_000_000)
VAL = Path("ILSVRC", "Data", "CLS-LOC", "val")
TRAIN = Path("ILSVRC", "Data", "CLS-LOC", "train")


def contents(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def read_by_webdataset(root: Path, split: str) -> dict[str, dict[str, bytes]]:
    """Every sample as the plain library gives it, by key."""
    with warnings.catch_warnings(action="ignore"):
        import webdataset

        urls = sorted(str(path) for path in (root / split).glob("*.tar"))
        found = list(webdataset.WebDataset(urls, shardshuffle=False))
    samples = {sample["__key__"]: {k: v for k, v in sample.items() if not k.startswith("__")} for sample in found}
    assert len(samples) == len(found)
    return samples


def test_the_webdataset_library_reads_every_val_label_as_the_csv_tells_it(pictures: Path, shards: Path) -> None:
    wnids = sorted(line.split()[0] for line in (pictures / "LOC_synset_mapping.txt").read_text().splitlines())
    told = dict(re.findall(r"^(ILSVRC2012_val_\d+),(n\d+)", (pictures / "LOC_val_solution.csv").read_text(), re.M))
    samples = read_by_webdataset(shards, "val")
    assert {key: wnids[int(sample["cls"])] for key, sample in samples.items()} == told


def test_train_labels_are_the_folders_and_the_pixels_the_originals(pictures: Path, shards: Path) -> None:
    wnids = sorted(folder.name for folder in (pictures / TRAIN).iterdir())
    samples = read_by_webdataset(shards, "train")
    assert len(samples) == 120
    for key, sample in samples.items():
        label = int(sample.pop("cls"))
        (data,) = sample.values()
        original = (pictures / TRAIN / wnids[label] / f"{key}.JPEG").read_bytes()
        assert np.array_equal(pixels(data), pixels(original))


def test_without_tiling_the_bytes_are_the_originals(pictures: Path, tmp_path: Path) -> None:
    pack(pictures, str(tmp_path / "out"), replace(SMALL, split="val", preparation=Preparation(tile=0)))
    samples = read_by_webdataset(tmp_path / "out", "val")
    assert len(samples) == 40
    for key, sample in samples.items():
        (data,) = (content for ending, content in sample.items() if ending != "cls")
        assert data == (pictures / VAL / f"{key}.JPEG").read_bytes()


def test_the_manifest_counts_what_was_not_tiled_by_reason(shards: Path) -> None:
    left = read_manifest(str(shards)).split("train").packed["left_untiled"]
    assert left["no JPEG"] == 1
    assert left["neither 1 nor 3 components"] >= 1
    assert sum(left.values()) < 10


def test_the_manifest_counts_progressive_pictures_that_were_made_baseline(shards: Path) -> None:
    assert read_manifest(str(shards)).split("train").packed["made_baseline"] == {"progressive": 1}


def test_normalised_all_pictures_are_tiled_and_it_is_counted_why(pictures: Path, tmp_path: Path) -> None:
    out = str(tmp_path / "out")
    normalise = replace(SMALL, split="train", preparation=Preparation(normalise=True))
    packed = pack(pictures, out, normalise)[0].split("train").packed
    assert packed["left_untiled"] == {}
    assert packed["normalised"]["PNG"] == 1
    assert packed["normalised"]["neither 1 nor 3 components"] >= 1
    assert pack(pictures, out, normalise)[1] == []
    with pytest.raises(UsageError, match="normalise"):
        pack(pictures, out, replace(SMALL, split="train"))
    assert all(set(sample) == {"cls", "jpg"} for sample in read_by_webdataset(tmp_path / "out", "train").values())


def test_pictures_made_smaller_are_another_dataset(pictures: Path, tmp_path: Path) -> None:
    out = str(tmp_path / "out")
    smaller = replace(SMALL, split="val", preparation=Preparation(max_side=100, quality=80))
    pack(pictures, out, smaller)
    assert pack(pictures, out, smaller)[1] == []
    with pytest.raises(UsageError, match=r"another max-side \(100 there, 120 here\), quality \(80 there, 90 here\)"):
        pack(pictures, out, replace(smaller, preparation=Preparation(max_side=120)))
    samples = read_by_webdataset(tmp_path / "out", "val").values()
    assert all(max(pixels(sample["jpg"]).shape) == 100 for sample in samples)


def test_a_png_named_jpeg_is_packed_as_png(shards: Path) -> None:
    endings = [set(sample) - {"cls"} for sample in read_by_webdataset(shards, "train").values()]
    assert endings.count({"png"}) == 1
    assert endings.count({"jpg"}) == 119


def test_tar_lists_the_shards_and_owner_and_time_are_fixed(shards: Path) -> None:
    for path in shards.rglob("*.tar"):
        listed = subprocess.run(["tar", "tf", str(path)], capture_output=True, text=True, check=True).stdout.split()
        with tarfile.open(path) as tar:
            assert [member.name for member in tar] == listed
            assert {(member.mtime, member.uname, member.mode) for member in tar} == {(0, "tarn", 0o444)}


def test_any_number_of_workers_gives_the_same_bytes(pictures: Path, shards: Path, tmp_path: Path) -> None:
    pack(pictures, str(tmp_path / "two"), PackConfig(shard_size=1_000_000, workers=2))
    assert contents(tmp_path / "two") == contents(shards)
    pack(pictures, str(tmp_path / "seed"), PackConfig(shard_size=1_000_000, seed=1))
    assert contents(tmp_path / "seed") != contents(shards)


def test_the_source_is_left_as_it_was(pictures: Path, tmp_path: Path) -> None:
    before = {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in pictures.rglob("*")}
    pack(pictures, str(tmp_path / "out"), SMALL)
    assert {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in pictures.rglob("*")} == before


def test_packing_again_is_up_to_date_and_other_options_are_refused_until_overwrite(
    pictures: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    assert pack(pictures, str(out), SMALL)[1] == ["train", "val"]
    before = contents(out)
    assert pack(pictures, str(out), SMALL)[1] == []
    with pytest.raises(UsageError, match=r"another seed.*--overwrite"):
        pack(pictures, str(out), PackConfig(shard_size=1_000_000, seed=1))
    assert contents(out) == before
    pack(pictures, str(out), PackConfig(shard_size=100_000_000, seed=1, overwrite=True))
    assert verify(str(out), read_manifest(str(out))) == []
    assert len(list(out.rglob("*.tar"))) == 2


def test_splits_packed_one_after_the_other_are_those_packed_at_once(
    pictures: Path, shards: Path, tmp_path: Path
) -> None:
    for split in ("val", "train"):
        pack(pictures, str(tmp_path / "out"), PackConfig(shard_size=1_000_000, split=split))
    assert contents(tmp_path / "out") == contents(shards)


def test_val_moved_into_class_folders_by_the_usual_script_gives_the_same_shards(
    pictures: Path, shards: Path, tmp_path: Path
) -> None:
    tree = tmp_path / "tree"
    shutil.copytree(pictures, tree)
    for number, path in enumerate(sorted((tree / VAL).iterdir())):
        (tree / VAL / f"n{number % 3}").mkdir(exist_ok=True)
        path.rename(tree / VAL / f"n{number % 3}" / path.name)
    pack(tree, str(tmp_path / "out"), SMALL)
    assert contents(tmp_path / "out") == contents(shards)


def edit_csv(tree: Path, change: Callable[[list[str]], list[str]]) -> None:
    path = tree / "LOC_val_solution.csv"
    path.write_text("\n".join(change(path.read_text().splitlines())) + "\n")


MISTAKES: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing row": (lambda t: edit_csv(t, lambda rows: rows[:-3]), r"3 val pictures without a row.*ILSVRC2012_val_"),
    "duplicate row": (lambda t: edit_csv(t, lambda rows: [*rows, rows[5]]), r"1 row given twice.*line 42"),
    "label without picture": (lambda t: (t / VAL / "ILSVRC2012_val_00000007.JPEG").unlink(), r"1 row.*_00000007"),
    "unknown wnid": (
        lambda t: edit_csv(t, lambda rows: [rows[0], re.sub(r"n9\d+", "n00000001", rows[1]), *rows[2:]]),
        r"1 wnid.*n00000001 of ILSVRC2012",
    ),
    "unknown folder": (lambda t: (t / TRAIN / "n77777777").mkdir(), r"1 wnid unknown.*n77777777"),
    "empty picture": (lambda t: (t / VAL / "ILSVRC2012_val_00000001.JPEG").write_bytes(b""), r"_00000001.JPEG: empty"),
    "no picture": (
        lambda t: (t / VAL / "ILSVRC2012_val_00000001.JPEG").write_bytes(b"<html>"),
        r"not a readable picture",
    ),
    "torn row": (lambda t: edit_csv(t, lambda rows: [*rows[:-1], rows[-1][:-5]]), r"1 row .*not `wnid x y x y`"),
    "no header": (lambda t: edit_csv(t, lambda rows: rows[1:]), r"expected the header ImageId,PredictionString"),
    "no csv": (lambda t: (t / "LOC_val_solution.csv").unlink(), r"LOC_val_solution.csv cannot be read"),
    "no synsets": (lambda t: (t / "LOC_synset_mapping.txt").unlink(), r"LOC_synset_mapping.txt cannot be read"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_in_the_tree_is_counted_and_named_and_nothing_is_published(
    name: str, pictures: Path, tmp_path: Path
) -> None:
    tree, out = tmp_path / "tree", tmp_path / "out"
    shutil.copytree(pictures, tree)
    harm, told = MISTAKES[name]
    harm(tree)
    with pytest.raises(TarnError, match=told):
        pack(tree, str(out), SMALL)
    assert not (out / "manifest.json").exists()
    assert not out.exists() or name in ("empty picture", "no picture")  # found while packing: what is done stays


def test_pictures_cut_in_transit_are_all_named_in_one_error(pictures: Path, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    shutil.copytree(pictures, tree)
    for path in sorted((tree / VAL).iterdir())[:12]:
        path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(TarnError, match=r"12 unreadable pictures .*cut off before its end.* and 2 more") as caught:
        pack(tree, str(tmp_path / "out"), SMALL)
    assert str(caught.value).count("ILSVRC2012_val_") == 10


def test_a_damaged_scan_is_found_by_a_full_decode(pictures: Path, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    shutil.copytree(pictures, tree)
    path = tree / VAL / "ILSVRC2012_val_00000006.JPEG"
    raw = path.read_bytes()
    path.write_bytes(raw[: len(raw) // 2] + b"\xff\xd9")
    with pytest.raises(TarnError, match=r"1 unreadable picture .*_00000006"):
        pack(tree, str(tmp_path / "out"), PackConfig(preparation=Preparation(check="all")))


@pytest.mark.parametrize("size", ["", "MB", "-1MB", "10QB", "ten", "0", "0.0001KB"])
def test_a_size_that_is_none_is_refused(size: str) -> None:
    with pytest.raises(UsageError, match=r"--shard-size"):
        parse_size(size)


def test_sizes_are_read_in_decimal_and_binary_units() -> None:
    assert [parse_size(text) for text in ("100MB", "64MiB", "1.5 GB", "7", "2k")] == [
        100_000_000,
        67_108_864,
        1_500_000_000,
        7,
        2000,
    ]


@given(st.lists(st.integers(1, 5000), min_size=1, max_size=60), st.integers(1000, 20000), st.integers(0, 9))
def test_a_plan_holds_every_picture_once_and_fills_no_shard_beyond_its_size(
    sizes: list[int], shard_size: int, seed: int
) -> None:
    pictures = [Picture(f"k{number}", File("", "x"), 0, size) for number, size in enumerate(sizes)]
    shards = plan_shards(pictures, shard_size, seed)
    assert sorted(p.key for shard in shards for p in shard) == sorted(p.key for p in pictures)
    assert all(len(shard) == 1 or sum(map(tar_bytes, shard)) <= shard_size for shard in shards)
    assert shards == plan_shards(pictures[::-1], shard_size, seed)


def image_folder(root: Path, names: dict[str, list[str]]) -> Path:
    for folder, files in names.items():
        (root / folder).mkdir(parents=True)
        for number, name in enumerate(files):
            Image.new("RGB", (20, 20), (number * 20, 50, 90)).save(root / folder / name)
    return root


def test_an_image_folder_with_test_pictures_gives_train_and_val(tmp_path: Path) -> None:
    source = image_folder(
        tmp_path / "in",
        {"train/cat": ["a.jpg", "a.png", "b.c.jpg"], "train/dog": ["é.jpg", "a.jpg"], "test/dog": ["x" * 120 + ".png"]},
    )
    (source / "train" / "dog" / "notes.txt").write_text("not a picture")
    manifest, _ = pack(source, str(tmp_path / "out"), PackConfig())
    assert [info.name for info in manifest.classes] == ["cat", "dog"]
    train = read_by_webdataset(tmp_path / "out", "train")
    assert sorted(sample["cls"] for sample in train.values()) == [b"0", b"0", b"0", b"1", b"1"]
    assert all(key.isascii() and "." not in key and len(key) <= 90 for key in train)
    (val,) = read_by_webdataset(tmp_path / "out", "val").values()
    assert val["cls"] == b"1"
    assert verify(str(tmp_path / "out"), manifest) == []


def test_class_folders_without_a_split_above_them_are_explained(tmp_path: Path) -> None:
    source = image_folder(tmp_path / "in", {"cat": ["a.jpg"], "dog": ["a.jpg"]})
    with pytest.raises(TarnError, match=r"move them into .*train"):
        pack(source, str(tmp_path / "out"), PackConfig())


def test_loose_pictures_are_told_where_to_go(tmp_path: Path) -> None:
    source = image_folder(tmp_path / "in", {".": ["a.jpg", "b.jpg"]})
    with pytest.raises(TarnError, match=r"it holds pictures itself: move them into .*in/train/<class>\)\."):
        pack(source, str(tmp_path / "out"), PackConfig())
    (tmp_path / "papers").mkdir()
    (tmp_path / "papers" / "notes.txt").touch()
    with pytest.raises(TarnError, match=r"val/<class>/\*\)\.$"):
        pack(tmp_path / "papers", str(tmp_path / "out"), PackConfig())


def test_a_val_class_unknown_to_train_is_an_error(tmp_path: Path) -> None:
    source = image_folder(tmp_path / "in", {"train/cat": ["a.jpg"], "val/dog": ["a.jpg"]})
    with pytest.raises(TarnError, match=r"1 class folder unknown to train .*dog"):
        pack(source, str(tmp_path / "out"), PackConfig())


def test_an_output_inside_the_source_is_refused(tmp_path: Path) -> None:
    source = image_folder(tmp_path / "in", {"train/cat": ["a.jpg"]})
    with pytest.raises(UsageError, match=r"lies inside"):
        pack(source, str(source / "train" / "out"), PackConfig())


def test_another_dataset_is_not_merged_into_an_existing_one(pictures: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    pack(image_folder(tmp_path / "in", {"train/cat": ["a.jpg"]}), str(out), PackConfig())
    before = contents(out)
    with pytest.raises(UsageError, match=r"1 class, the source has 10"):
        pack(pictures, str(out), PackConfig(split="val"))
    assert contents(out) == before


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_pack_that_is_killed_publishes_no_manifest_and_can_be_run_again(
    number: signal.Signals, pictures: Path, shards: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    command = [
        sys.executable,
        "-m",
        "tarn.sharding",
        "pack",
        str(pictures),
        str(out),
        "--shard-size=1MB",
        "--workers=1",
    ]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, start_new_session=True)
    while not list(out.glob(".staging-*/train/*.tar")):
        assert process.poll() is None
        time.sleep(0.001)
    os.kill(process.pid, number)
    try:
        process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == {signal.SIGKILL: -9, signal.SIGTERM: 143, signal.SIGINT: 130}[number]
    assert not list(out.rglob("manifest.json"))
    assert not list(out.glob(".staging-*")) or number == signal.SIGKILL
    pack(pictures, str(out), SMALL)
    assert contents(out) == contents(shards)


@pytest.mark.skipif(not REAL_PICTURES.is_dir(), reason="the real photographs are not beside the checkout")
def test_real_imagenet_pictures_keep_pixels_bytes_and_labels(tmp_path: Path) -> None:
    for workers in (1, 2):
        config = PackConfig(shard_size=30_000_000, workers=workers)
        manifest, _ = pack(REAL_PICTURES, str(tmp_path / str(workers)), config)
    assert contents(tmp_path / "1") == contents(tmp_path / "2")
    assert len(manifest.classes) == 1000
    wnids = [line.split()[0] for line in (REAL_PICTURES / "LOC_synset_mapping.txt").read_text().splitlines()]
    with (REAL_PICTURES / "LOC_val_solution.csv").open() as file:
        told = {name: row.split()[0] for name, row in list(csv.reader(file))[1:]}
    val = read_by_webdataset(tmp_path / "1", "val")
    assert {key: wnids[int(sample["cls"])] for key, sample in val.items()} == told
    assert all(
        np.array_equal(pixels(sample["jpg"]), pixels((REAL_PICTURES / VAL / f"{key}.JPEG").read_bytes()))
        for key, sample in val.items()
    )
    pack(REAL_PICTURES, str(tmp_path / "bytes"), PackConfig(split="val", workers=2, preparation=Preparation(tile=0)))
    val = read_by_webdataset(tmp_path / "bytes", "val")
    assert all(sample["jpg"] == (REAL_PICTURES / VAL / f"{key}.JPEG").read_bytes() for key, sample in val.items())
    train = read_by_webdataset(tmp_path / "1", "train")
    assert len(train) == 1000
    assert all(key.split("_")[0] == wnids[int(sample["cls"])] for key, sample in train.items())


WORDS = {
    "--shard-size=10": "--shard-size=10 is 10 bytes, less than a sample of 2,048 takes: write its unit, such as 100MB.",
    "--max-side=0": "--max-side=0 must be at least 8 px.",
    "--short-side=7": "--short-side=7 must be at least 8 px.",
}


def test_a_shard_may_be_as_small_as_a_sample_where_that_is_said_with_its_unit(tmp_path: Path) -> None:
    source = picture_tree(tmp_path / "source")
    assert main(["pack", str(source), str(tmp_path / "out"), "--shard-size=1kB", "--split=train"]) == 0
    assert {shard.samples for shard in read_manifest(str(tmp_path / "out")).split("train").shards} == {1}


@pytest.mark.parametrize("word", WORDS)
def test_sizes_that_nobody_means_are_refused(word: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["pack", str(tmp_path / "in"), str(tmp_path / "out"), word]) == 2
    assert capsys.readouterr().err == f"error: {WORDS[word]}\n"


def test_what_is_another_is_told_with_both_values(pictures: Path, tmp_path: Path) -> None:
    pack(pictures, tmp_path / "out", PackConfig(split="val", shard_size=100_000))
    with pytest.raises(UsageError, match=r"another shard-size \(100,000 there, 200,000 here\): choose another output"):
        pack(pictures, tmp_path / "out", PackConfig(split="val", shard_size=200_000))
    with pytest.raises(UsageError, match=r"another seed \(0 there, 3 here\): choose"):
        pack(pictures, tmp_path / "out", PackConfig(split="val", shard_size=100_000, seed=3))


def test_help_of_a_command_says_what_it_does(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["verify", "--help"])
    assert "\n\nRead every byte again and compare it with the manifest.\n" in capsys.readouterr().out
