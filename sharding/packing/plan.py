"""Which picture goes into which shard: a pure function of (pictures, shard size, seed)."""

import hashlib
from array import array
from collections.abc import Iterator, Sequence

import numpy as np

from tarn.sharding.format.archive import BLOCK, padded
from tarn.sharding.sources import Picture
from tarn.sharding.sources.place import block_of

LEAST_SHARD = 3 * BLOCK + BLOCK + 2 * BLOCK  # bytes of a tar: two headers, a label, the least picture, and the end


def plan_shards(pictures: Sequence[Picture], shard_size: int, seed: int) -> list[tuple[Picture, ...]]:
    """The pictures, sorted by key, shuffled by the seed and filled into shards of at most shard_size bytes of tar.

    A picture larger than that has a shard of its own. Those that can only be read together (see place.py) come into the
    same shards: blocks of them are shuffled, and the pictures of each shard.
    """
    pictures = sorted(pictures, key=lambda picture: picture.key)
    # raw numbers and a stable sort, for NumPy promises the same permutation() only within a version
    raw = np.random.Philox(key=seed & 0xFFFFFFFFFFFFFFFF).random_raw(len(pictures))
    shuffled = np.argsort(raw, kind="stable").tolist()
    if not any(block_of(picture.place) is not None for picture in pictures):
        return [tuple(pictures[index] for index in part) for part in filled(pictures, shuffled, shard_size)]
    places = np.empty(len(pictures), np.int64)
    places[shuffled] = np.arange(len(pictures))
    rank: list[int] = places.tolist()
    return [
        tuple(pictures[index] for index in sorted(part, key=rank.__getitem__))
        for part in filled(pictures, by_blocks(pictures, rank), shard_size)
    ]


def filled(pictures: Sequence[Picture], order: Sequence[int], shard_size: int) -> Iterator[list[int]]:
    """Indexes of the pictures of each shard."""
    current: list[int] = []
    size = 0
    for index in order:
        more = tar_bytes(pictures[index])
        if current and size + more > shard_size:
            yield current
            current, size = [], 0
        current.append(index)
        size += more
    if current:
        yield current


def by_blocks(pictures: Sequence[Picture], rank: Sequence[int]) -> list[int]:
    """A block stands where its first picture would; inside, its pictures stand as they lie."""
    rows, blocks = array("q"), dict[tuple[str, int], list[int]]()
    for index, picture in enumerate(pictures):
        block, row = block_of(picture.place) or ((picture.key, -1), 0)
        blocks.setdefault(block, []).append(index)
        rows.append(row)
    for indexes in blocks.values():
        indexes.sort(key=rows.__getitem__)
    return [index for block in sorted(blocks.values(), key=lambda its: rank[its[0]]) for index in block]


def tar_bytes(picture: Picture) -> int:
    """Two headers, the label's block, and the picture padded to blocks; three headers where it has a .json."""
    beside = BLOCK + padded(picture.beside.size) if picture.beside is not None else 0
    return 3 * BLOCK + padded(picture.size) + beside


def digest(shards: Sequence[Sequence[Picture]]) -> str:
    """Changes with any key, label, size, .json or place of a picture; not with where the pictures lie."""
    told = hashlib.sha256()
    for shard in shards:
        for picture in shard:
            told.update(f"{picture.key}\0{picture.label}\0{picture.size}\n".encode())
            if picture.beside is not None:
                told.update(picture.beside.json() + b"\n")
        told.update(b"\n")
    return told.hexdigest()
