"""Batches of tars whose endings somebody had to name, as the webdataset library reads their members."""

import io
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, features

from support.foreign_tars import write
from support.loaders import shard_loader
from support.sequential_tars import loader as sequential_loader
from tarn.sharding.errors import TarnError
from tarn.sharding.foreign.index import IndexConfig, index
from tarn.training.pixels.pictures import decode_eval
from tarn.training.streaming import Batch

with warnings.catch_warnings(action="ignore"):
    import webdataset

SIDE, RESIZE = 16, 18
NAMES = ("zebra", "great white shark", "ape")
OTHERS = {"gif": "GIF", "bmp": "BMP", "tif": "TIFF", "ppm": "PPM"}

Samples = list[tuple[str, int, bytes]]  # key, label, pixels


def encoded(number: int, kind: str) -> bytes:
    pixels, buffer = np.random.default_rng(number).integers(0, 256, (20 + number, 25, 3), np.uint8), io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind)
    return buffer.getvalue()


def tars(root: Path) -> Path:
    for tar in range(2):
        numbers = range(7 * tar, 7 * tar + 7)
        content = {
            f"s{number}": {
                "input.jpg": encoded(number, "JPEG"),
                "mask.png": encoded(number + 50, "PNG"),
                "outputs.txt": NAMES[number % 3].encode(),
            }
            for number in numbers
        }
        write(root / f"val-{tar}.tar", content)
    return root


def by_library(root: Path) -> Samples:
    urls = sorted(str(path) for path in root.glob("*.tar"))
    with warnings.catch_warnings(action="ignore"):
        found = list(webdataset.WebDataset(urls, shardshuffle=False))
    return [
        (
            each["__key__"],
            NAMES.index(each["outputs.txt"].decode()),
            decode_eval(each["input.jpg"], RESIZE, SIDE).tobytes(),
        )
        for each in found
    ]


def singly(batches: list[Batch]) -> Samples:
    return [
        (key, label, pixels.tobytes())
        for batch in batches
        for key, label, pixels in zip(batch.keys, batch.labels.tolist(), batch.images.numpy(), strict=True)
    ]


def test_the_loader_gives_the_members_that_were_chosen_as_the_library_reads_them(tmp_path: Path) -> None:
    root = tars(tmp_path / "in")
    (tmp_path / "names.txt").write_text("\n".join(NAMES))
    index(str(root), IndexConfig(picture="input.jpg", label="outputs.txt", classes=tmp_path / "names.txt"))
    settings = {"global_batch": 4, "image_size": SIDE, "eval_resize": RESIZE, "num_workers": 0, "keys": True}
    one = shard_loader(str(root), split="val", train=False, **settings)
    given = singly(list(one))
    one.close()
    assert len(given) == 14
    assert given == by_library(root)


def test_the_sequential_loader_gives_the_same(tmp_path: Path) -> None:
    root = tars(tmp_path / "in")
    chosen = {"picture": "input.jpg", "label": "outputs.txt", "classes": NAMES}
    settings = {"train": False, "eval_resize": RESIZE, "image_size": SIDE}
    one = sequential_loader(f"{root}/val-{{0..1}}.tar", 14, **settings, **chosen)
    assert singly(list(one)) == by_library(root)
    one.close()
    other = sequential_loader(f"{root}/val-{{0..1}}.tar", 14, **settings, **{**chosen, "classes": NAMES[:2]})
    with pytest.raises(TarnError, match=r"s2 has the label ape, which is no name of exactly one of classes"):
        list(other)
    other.close()


def test_pictures_of_every_other_kind_are_read_by_both_loaders(tmp_path: Path) -> None:
    kinds = OTHERS | ({"avif": "AVIF"} if features.check("avif") else {})
    kinds |= {"jp2": "JPEG2000"} if features.check("jpg_2000") else {}
    content = {f"k{row}": {ending: encoded(row, kind), "cls": b"0"} for row, (ending, kind) in enumerate(kinds.items())}
    path = write(tmp_path / "val-0.tar", content)
    expected = [
        (key, 0, decode_eval(next(iter(parts.values())), RESIZE, SIDE).tobytes()) for key, parts in content.items()
    ]
    index(str(tmp_path), IndexConfig())
    settings = {"global_batch": 4, "image_size": SIDE, "eval_resize": RESIZE, "num_workers": 0, "keys": True}
    one = shard_loader(str(tmp_path), split="val", train=False, **settings)
    other = sequential_loader([str(path)], len(content), train=False, eval_resize=RESIZE)
    assert singly(list(one)) == singly(list(other)) == expected
    one.close()
    other.close()
