"""Everybody of the table in docs/interchange.md reads our shards, and gets the same pictures and labels."""

import hashlib
import importlib.util
import io
import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from support.datasets import picture_tree
from tarn.sharding.interchange.describe import describe
from tarn.sharding.interchange.described import KINDS
from tarn.sharding.packing.pack import PackConfig, pack

pytestmark = pytest.mark.filterwarnings("ignore")  # theirs, of their own uses of others

Pair = tuple[bytes, int]  # a picture's bytes and its label


def needs(module: str) -> pytest.MarkDecorator:
    try:
        missing = importlib.util.find_spec(module) is None
    except ModuleNotFoundError:
        missing = True
    return pytest.mark.skipif(missing, reason=f"{module} is not installed")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 train pictures in several shards and 6 of val, described for all."""
    home = tmp_path_factory.mktemp("described")
    pack(picture_tree(home / "source"), str(home / "out"), PackConfig(shard_size=10_000))
    describe(str(home / "out"), KINDS)
    return home / "out"


@pytest.fixture(scope="module")
def pairs(root: Path) -> list[Pair]:
    """What Python's tarfile finds in the train split."""
    found = []
    for path in sorted(root.glob("train/*.tar")):
        with tarfile.open(path) as tar:
            parts = {member.name: tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]
        found += [(parts[f"{name[:-4]}.jpg"], int(data)) for name, data in parts.items() if name.endswith(".cls")]
    assert len(found) == 24
    return found


def tars(root: Path) -> list[str]:
    return [str(path) for path in sorted(root.glob("train/*.tar"))]


def pixels(picture: Any) -> bytes:
    """Of Pillow's pictures, and of bytes that are one."""
    image = picture if isinstance(picture, Image.Image) else Image.open(io.BytesIO(picture))
    return image.convert("RGB").tobytes()


def seen(pairs: Iterable[tuple[Any, int]]) -> list[tuple[bytes, int]]:
    return sorted((pixels(picture), int(label)) for picture, label in pairs)


def test_gnu_tar_extracts_them(root: Path, pairs: list[Pair], tmp_path: Path) -> None:
    for path in tars(root):
        done = subprocess.run(["tar", "-xf", path, "-C", str(tmp_path)], capture_output=True, check=True)
        assert done.stderr == b""
    found = [(path.with_suffix(".jpg").read_bytes(), int(path.read_text())) for path in tmp_path.rglob("*.cls")]
    assert sorted(found) == sorted(pairs)


def test_webdataset_reads_them(root: Path, pairs: list[Pair]) -> None:
    import webdataset

    found = [(it["jpg"], int(it["cls"])) for it in webdataset.WebDataset(tars(root), shardshuffle=False)]
    assert found == pairs


@needs("timm")
def test_timm_reads_them_by_info_json(root: Path, pairs: list[Pair]) -> None:
    from timm.data.readers.reader_wds import ReaderWds

    reader = ReaderWds(str(root), split="train", is_training=False, batch_size=4)
    assert len(reader) == 24
    assert seen(reader) == seen(pairs)


@needs("datasets")
def test_hugging_face_datasets_streams_them(
    root: Path, pairs: list[Pair], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    from datasets import load_dataset

    found = load_dataset(
        "webdataset", data_files={"train": tars(root)}, split="train", streaming=True, cache_dir=str(tmp_path)
    )
    assert seen((it["jpg"], int(it["cls"])) for it in found) == seen(pairs)


@needs("megatron.energon")
def test_energon_reads_them_by_its_indexes(root: Path, pairs: list[Pair]) -> None:
    from megatron.energon import WorkerConfig, get_loader, get_train_dataset
    from torchvision.transforms.functional import to_pil_image

    dataset = get_train_dataset(
        str(root),
        worker_config=WorkerConfig(rank=0, world_size=1, num_workers=0),
        batch_size=1,
        shuffle_buffer_size=None,
        max_samples_per_sequence=None,
        repeat=False,
    )
    found = [(to_pil_image(it.image[0]), int(it.label[0])) for it in get_loader(dataset)]
    assert seen(found) == seen(pairs)


CROISSANT = """
import hashlib, json, sys, mlcroissant
dataset = mlcroissant.Dataset(sys.argv[1])
assert not dataset.metadata.ctx.issues.errors
assert [it["classes/wnid"] for it in dataset.records("classes")] == ["class0", "class1", "class2"]
digest = lambda picture: hashlib.sha256(picture.convert("RGB").tobytes()).hexdigest()
pictures = {it["train/key"]: digest(it["train/image"]) for it in dataset.records("train")}
labels = {it["train-label/key"]: it["train-label/label"] for it in dataset.records("train-label")}
assert pictures.keys() == labels.keys()
print(json.dumps([(pictures[key], int(labels[key])) for key in pictures]))
"""


@needs("mlcroissant")
def test_croissant_describes_them_without_errors_and_its_library_reads_them(
    root: Path, pairs: list[Pair], tmp_path: Path
) -> None:
    command = [sys.executable, "-c", CROISSANT, str(root / "croissant.json")]
    environment = {**os.environ, "CROISSANT_CACHE": str(tmp_path), "HOME": str(tmp_path)}  # it keeps what it unpacks
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    expected = [(hashlib.sha256(pixels(picture)).hexdigest(), label) for picture, label in pairs]
    assert sorted(map(tuple, json.loads(done.stdout))) == sorted(expected)


@needs("nvidia.dali")
def test_dali_reads_them_by_its_indexes(root: Path, pairs: list[Pair]) -> None:
    assert sorted(dali_pairs(root)) == sorted(pairs)


def dali_pairs(root: Path) -> Iterator[Pair]:
    from nvidia.dali import fn, pipeline_def

    indexes = [path.replace(".tar", ".dali-idx") for path in tars(root)]

    @pipeline_def(batch_size=4, num_threads=1, device_id=None)  # type: ignore[untyped-decorator]
    def pipeline() -> Any:
        jpg, label = fn.readers.webdataset(
            paths=tars(root), index_paths=indexes, ext=["jpg", "cls"], missing_component_behavior="error", name="reader"
        )
        return jpg, label, fn.decoders.image(jpg, device="cpu")

    running = pipeline()
    running.build()
    assert running.epoch_size("reader") == 24
    for _ in range(6):
        pictures, labels, decoded = running.run()
        for number in range(4):
            assert decoded.at(number).shape == (48, 64, 3)
            yield bytes(pictures.at(number)), int(bytes(labels.at(number)))
