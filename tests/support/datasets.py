"""Small trees of pictures, and what lies in a folder."""

import json
import shutil
from pathlib import Path

import numpy as np
from PIL import Image


def picture_tree(root: Path, classes: int = 3, train: int = 8, val: int = 2) -> Path:
    """An ImageFolder tree of small JPEGs, all different."""
    rng = np.random.default_rng(0)
    for split, count in (("train", train), ("val", val)):
        for number in range(classes):
            folder = root / split / f"class{number}"
            folder.mkdir(parents=True)
            for picture in range(count):
                pixels = np.kron(rng.integers(0, 255, (6, 8, 3), np.uint8), np.ones((8, 8, 1), np.uint8))
                Image.fromarray(pixels).save(folder / f"{split}{picture}.jpg")
    return root


def contents(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def without_validation(shards: Path, copy: Path) -> Path:
    """A copy of a packed dataset that has no val split."""
    shutil.copytree(shards, copy)
    manifest = json.loads((copy / "manifest.json").read_text())
    del manifest["splits"]["val"]
    (copy / "manifest.json").write_text(json.dumps(manifest))
    return copy
