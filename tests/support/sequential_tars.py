"""Tars as others write them, and what a SequentialLoader makes of them."""

import io
import tarfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from webdataset.writer import ShardWriter

from tarn.training.streaming import Batch, SequentialLoader

Picture = tuple[str, bytes, int]  # key, bytes, label
Seen = list[tuple[tuple[str, ...], bytes, list[int]]]

SMALL: dict[str, Any] = {"global_batch": 16, "image_size": 16, "keys": True, "num_workers": 0, "shuffle_buffer": 20}
TARS = 6
CUT = r"cut|checksum|zero block|ends at byte"


def written(folder: Path, pictures: Sequence[Picture], each: int, ending: str = ".tar.gz") -> str:
    """The pattern of tars that hold so many pictures each."""
    folder.mkdir(exist_ok=True)
    compress = ending != ".tar"
    with ShardWriter(f"{folder}/t-%02d{ending}", maxcount=each, verbose=0, mtime=0, compress=compress) as writer:
        for key, data, label in pictures:
            writer.write({"__key__": key, "jpg": data, "cls": label})
    return f"{folder}/t-{{00..{-(-len(pictures) // each) - 1:02d}}}{ending}"


def tar_of(members: Iterable[tuple[str, bytes]]) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return file.getvalue()


def loader(urls: str | list[str], samples: int = 120, **more: Any) -> SequentialLoader:
    return SequentialLoader(urls, samples, **{**SMALL, **more})


def seen(batches: Iterable[Batch]) -> Seen:
    return [(batch.keys, batch.images.numpy().tobytes(), batch.labels.tolist()) for batch in batches]


def read(one: SequentialLoader, epochs: int = 1) -> Seen:
    try:
        return [each for _ in range(epochs) for each in seen(one)]
    finally:
        one.close()


def keys_of(found: Seen) -> list[str]:
    return [key for keys, _, _ in found for key in keys]


def evaluated(path: Path, samples: int = 1, **more: Any) -> Seen:
    return read(loader([str(path)], samples, train=False, **more))


def members(key: str, data: bytes, label: int) -> list[tuple[str, bytes]]:
    return [(f"{key}.cls", str(label).encode()), (f"{key}.jpg", data)]
