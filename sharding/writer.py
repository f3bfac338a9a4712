"""One shard: a tar by the webdataset library, and its index. The same bytes on every machine."""

import hashlib
import zlib
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from webdataset.writer import TarWriter

from sharding.inspection import ending
from sharding.manifest import RECORD, ShardInfo, index_bytes
from sharding.plan import BLOCK, padded
from sharding.preparation import DamagedError, Preparation, Prepared, prepare
from sharding.sources import Picture


@dataclass(frozen=True, slots=True)
class Task:
    """name: of the shard under the dataset's root; folder: where it is written for now."""

    name: str
    folder: Path
    pictures: tuple[Picture, ...]
    preparation: Preparation


@dataclass(frozen=True, slots=True)
class Written:
    """The shard as the manifest lists it, or the pictures that kept it from being written (path, what is wrong).

    left: how many pictures were not tiled, by reason.
    """

    info: ShardInfo | None
    damaged: tuple[tuple[str, str], ...]
    left: Mapping[str, int]


class HashedFile:
    """A file opened for writing whose digest is known at the end."""

    def __init__(self, file: BinaryIO) -> None:
        self.file, self.digest, self.bytes = file, hashlib.sha256(), 0

    def write(self, data: bytes) -> int:
        self.digest.update(data)
        self.bytes += len(data)
        return self.file.write(data)


def write_shard(task: Task, progress: Callable[[int, int], None]) -> Written:
    """Reads each picture once; tells progress in (pictures, bytes)."""
    records = np.zeros(len(task.pictures), RECORD)
    damaged: list[tuple[str, str]] = []
    left: Counter[str] = Counter()
    path = task.folder / task.name
    path.parent.mkdir(parents=True, exist_ok=True)
    position = 0
    with path.open("wb") as file:
        hashed: Any = HashedFile(file)  # write() is all that a tar written as a stream asks for
        with TarWriter(hashed, user="tarn", group="tarn", mode=0o444, mtime=0, encoder=False) as tar:
            for row, picture in enumerate(task.pictures):
                try:
                    prepared = read_picture(picture, task.preparation)
                except DamagedError as error:
                    damaged.append((str(picture.path), str(error)))
                    continue
                data = prepared.data
                if prepared.left is not None:
                    left[prepared.left] += 1
                kind = ending(data, picture.path.suffix)
                tar.write({"__key__": picture.key, "cls": str(picture.label).encode(), kind: data})
                where, position = place(position, data, kind)
                records[row] = (where, len(data), picture.label, zlib.crc32(data))
                progress(1, picture.size)
    if damaged:
        return Written(None, tuple(damaged), left)
    index = index_bytes(records)
    path.with_suffix(".idx").write_bytes(index)
    index_sha256 = hashlib.sha256(index).hexdigest()
    return Written(ShardInfo(task.name, len(records), hashed.bytes, hashed.digest.hexdigest(), index_sha256), (), left)


def read_picture(picture: Picture, how: Preparation) -> Prepared:
    """Raises DamagedError for one that cannot be read, or is not what was planned."""
    try:
        data = picture.path.read_bytes()
    except OSError as error:
        raise DamagedError(error.strerror or str(error)) from error
    if len(data) != picture.size:
        raise DamagedError(f"changed while it was packed, from {picture.size} to {len(data)} bytes")
    return prepare(data, picture, how)


def place(position: int, data: bytes, kind: str) -> tuple[int, int]:
    """Where the picture's bytes lie when its sample starts at `position`, and where the sample ends.

    The writer sorts members by ending: cls comes before jpg, png and webp, but after bmp.
    """
    label_bytes = 2 * BLOCK
    offset = position + BLOCK + (label_bytes if kind > "cls" else 0)
    return offset, position + label_bytes + BLOCK + padded(len(data))
