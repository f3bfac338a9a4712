"""Tars whose samples have masks, boxes, captions, several labels and pictures, as others pack them."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from support.foreign_tars import write
from tarn.sharding.foreign.index import IndexConfig, index


def encoded(pixels: NDArray[Any], kind: str = "JPEG") -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind)
    return buffer.getvalue()


def saved(array: NDArray[Any]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def mask_of(number: int) -> NDArray[np.uint8]:
    """Of picture `number`: (60 + number) x (90 - number), a bright part where its picture is bright."""
    mask = np.zeros((60 + number, 90 - number), np.uint8)
    mask[10:40, 20 + number : 50] = 1 + number % 3
    return mask


def picture_of(number: int) -> NDArray[np.uint8]:
    mask = mask_of(number)
    noise = np.random.default_rng(number).integers(0, 40, (*mask.shape, 3))
    return (noise + 70 * mask[:, :, None]).astype(np.uint8)


def parts_of(number: int) -> dict[str, bytes]:
    mask = mask_of(number)
    height, width = mask.shape
    told = {
        "size": number,
        "tags": [number % 3, 4],
        "objects": [
            {"bbox": [0, 0, width, height], "category": 7},
            {"bbox": [20 + number, 10, 30 - number, 30], "category": number % 3},
        ],
    }
    return {
        "jpg": encoded(picture_of(number)),
        "json": json.dumps(told).encode(),
        "txt": f"number {number}".encode(),
        "cls": str(number % 3).encode(),
        "seg.png": encoded(mask, "PNG"),
        "right.jpg": encoded(255 - picture_of(number)),
        "npy": saved(np.full(3, number, np.float32)),
    }


def membered(root: Path, count: int = 24, of_each: int = 12, labels: bool = False) -> Path:
    """Indexed, without classes unless `labels`."""
    for tar in range(-(-count // of_each)):
        numbers = range(of_each * tar, min(count, of_each * (tar + 1)))
        write(root / f"train-{tar}.tar", {f"s{number:03d}": parts_of(number) for number in numbers})
    index(root, IndexConfig(label=None if labels else "none", picture="jpg"))
    return root
