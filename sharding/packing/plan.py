"""Which picture goes into which shard: a pure function of (pictures, shard size, seed)."""

import hashlib
from collections.abc import Sequence

import numpy as np

from tarn.sharding.format.archive import BLOCK, padded
from tarn.sharding.sources import Picture


def plan_shards(pictures: Sequence[Picture], shard_size: int, seed: int) -> list[tuple[Picture, ...]]:
    """The pictures, sorted by key, shuffled by the seed and filled into shards of at most shard_size bytes of tar.

    A picture larger than that has a shard of its own.
    """
    pictures = sorted(pictures, key=lambda picture: picture.key)
    # raw numbers and a stable sort, for NumPy promises the same permutation() only within a version
    raw = np.random.Philox(key=seed & 0xFFFFFFFFFFFFFFFF).random_raw(len(pictures))
    shards: list[tuple[Picture, ...]] = []
    current: list[Picture] = []
    filled = 0
    for index in np.argsort(raw, kind="stable"):
        picture = pictures[index]
        if current and filled + tar_bytes(picture) > shard_size:
            shards.append(tuple(current))
            current, filled = [], 0
        current.append(picture)
        filled += tar_bytes(picture)
    return [*shards, tuple(current)] if current else shards


def tar_bytes(picture: Picture) -> int:
    """Two headers, the label's block, and the picture padded to blocks."""
    return 3 * BLOCK + padded(picture.size)


def digest(shards: Sequence[Sequence[Picture]]) -> str:
    """Changes with any key, label, size or place of a picture; not with where the pictures lie."""
    told = hashlib.sha256()
    for shard in shards:
        for picture in shard:
            told.update(f"{picture.key}\0{picture.label}\0{picture.size}\n".encode())
        told.update(b"\n")
    return told.hexdigest()
