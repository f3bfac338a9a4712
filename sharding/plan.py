"""Which picture goes into which shard: a pure function of (pictures, shard size, seed)."""

import hashlib
import re
from collections.abc import Sequence

import numpy as np

from sharding.archive import BLOCK, padded
from sharding.errors import UsageError
from sharding.sources import Picture

UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "KI": 2**10, "MI": 2**20, "GI": 2**30}


def parse_size(text: str, key: str = "--shard-size") -> int:
    """Bytes of `100MB`, `64MiB`, `1.5GB` or `1000000`. Raises UsageError naming the key for anything else."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMG]?I?)B?\s*", text.upper())
    if match is None or match[2] not in UNITS or float(match[1]) * UNITS[match[2]] < 1:
        raise UsageError(f"{key}={text!r} is not a size: write 100MB, 64MiB or a number of bytes.")
    return int(float(match[1]) * UNITS[match[2]])


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
