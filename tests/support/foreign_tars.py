"""Tars as others pack them."""

import hashlib
import io
import json
import tarfile
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

with warnings.catch_warnings(action="ignore"):
    from webdataset.writer import ShardWriter, TarWriter


Parts = Mapping[str, bytes]
WNIDS = ("n01440764", "n01443537", "n02102040")
SYNSETS = "n01440764 tench, Tinca tinca\nn01443537 goldfish\nn02102040 English springer\n"


def picture(number: int) -> bytes:
    """Stands for a picture: the indexer never decodes. Not a multiple of a tar's blocks."""
    return hashlib.sha256(str(number).encode()).digest() * (20 + number % 30) + bytes([number % 251]) * (number % 7)


def sample(number: int, **parts: bytes) -> tuple[str, dict[str, bytes]]:
    return f"s{number:05d}", {"jpg": picture(number), "cls": str(number % 3).encode(), **parts}


def samples(numbers: Iterable[int]) -> dict[str, dict[str, bytes]]:
    return dict(sample(number) for number in numbers)


def write(path: Path, content: Mapping[str, Parts]) -> Path:
    """Members in the order of the mapping, one after the other."""
    return write_members(path, [(f"{k}.{end}", data) for k, parts in content.items() for end, data in parts.items()])


def write_members(path: Path, members: Iterable[tuple[str, bytes]], tar_format: int = tarfile.USTAR_FORMAT) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w", format=tar_format) as tar:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def dataset(root: Path) -> Path:
    """Three train tars and one val tar by webdataset's own writer."""
    root.mkdir(parents=True, exist_ok=True)
    with ShardWriter(str(root / "my-train-%04d.tar"), maxcount=10, verbose=0, encoder=False) as writer:
        for key, parts in samples(range(25)).items():
            writer.write({"__key__": key, **parts})
    with TarWriter(str(root / "my-val-0000.tar"), encoder=False) as tar:
        for key, parts in samples(range(100, 107)).items():
            tar.write({"__key__": key, **parts})
    return root


def imagenet(root: Path) -> Path:
    """imagenet1k-train-0000.tar ... with <key>.cls, <key>.jpg, <key>.json, and _info.json."""
    root.mkdir()
    numbers = {"train-0000": range(10), "train-0001": range(10, 20), "train-0002": range(20, 25)}
    numbers["validation-00"] = range(100, 107)
    for name, span in numbers.items():
        with TarWriter(str(root / f"imagenet1k-{name}.tar"), encoder=False) as tar:
            for number in span:
                key = f"{WNIDS[number % 3]}_{number}" if "train" in name else f"ILSVRC2012_val_{number:08d}"
                told = json.dumps({"label": number % 3, "width": 5, "filename": f"{key}.JPEG"}).encode()
                tar.write({"__key__": key, "jpg": picture(number), "cls": str(number % 3).encode(), "json": told})
    info_json(root)
    return root


def info_json(root: Path, **changes: Any) -> None:
    """As the public ImageNet copies have it."""
    names = sorted(path.name for path in root.glob("*.tar"))
    splits = {
        "train": {"name": "train", "filenames": [n for n in names if "train" in n], "shard_lengths": [10, 10, 5]},
        "validation": {"name": "validation", "filenames": [n for n in names if "val" in n], "shard_lengths": [7]},
    }
    for split, told in splits.items():
        told["num_samples"] = sum(told["shard_lengths"])
        told.update(changes.get(split, {}))
    (root / "_info.json").write_text(json.dumps({"splits": splits}))
