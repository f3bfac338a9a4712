"""Which picture goes into which shard: a pure function of (pictures, shard size, seed)."""

import hashlib
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from tarn.sharding.format.archive import BLOCK, padded
from tarn.sharding.packing.folded import MANY, Folded
from tarn.sharding.sources import Picture
from tarn.sharding.sources.place import File, block_of

NONE = Picture("", File("", ""), 0, 0)

LEAST_SHARD = 4 * BLOCK  # bytes of the least sample: two headers, a label, a picture


def plan_shards(pictures: Sequence[Picture], shard_size: int, seed: int) -> list[Sequence[Picture]]:
    """The pictures, sorted by key, shuffled by the seed and filled into shards of at most shard_size bytes of tar. Many
    are folded.

    A picture larger than that has a shard of its own. Those that can only be read together (see place.py) come into the
    same shards: blocks of them are shuffled, and the pictures of each shard.
    """
    mine = sorted(pictures, key=lambda picture: picture.key)
    del pictures  # who has no use for them, either, has their memory back while they are folded
    shard: Callable[[Iterable[Picture]], Sequence[Picture]] = tuple if len(mine) < MANY else Folded.of
    return [shard(taken(mine, part)) for part in parts(mine, shard_size, seed)]


def taken(pictures: list[Picture], part: Iterable[int]) -> Iterator[Picture]:
    """Each picture once: another one stays in its place."""
    for index in part:
        picture, pictures[index] = pictures[index], NONE
        yield picture


def parts(pictures: Sequence[Picture], shard_size: int, seed: int) -> Iterator[Sequence[int]]:
    """Of each shard, the indexes of its pictures, which nobody looks at again."""
    # raw numbers and a stable sort, for NumPy promises the same permutation() only within a version
    raw = np.random.Philox(key=seed & 0xFFFFFFFFFFFFFFFF).random_raw(len(pictures))
    shuffled = array("q", np.argsort(raw, kind="stable").tobytes())  # of a million, a list takes 50 MB
    if not any(block_of(picture.place) is not None for picture in pictures):
        yield from filled(pictures, shuffled, shard_size)
        return
    rank = array("q", bytes(8 * len(pictures)))
    for place, index in enumerate(shuffled):
        rank[index] = place
    for part in filled(pictures, by_blocks(pictures, rank), shard_size):
        yield sorted(part, key=rank.__getitem__)


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
    """Two headers, the label's block, and the picture padded to blocks; three headers where it has a .json; and what
    its members take, at most."""
    beside = BLOCK + padded(picture.beside.size) if picture.beside is not None else 0
    others = picture.others.size if picture.others is not None else 0
    return 3 * BLOCK + padded(picture.size) + beside + others


def digest(shards: Sequence[Sequence[Picture]]) -> str:
    """Changes with any key, label, size, .json or place of a picture, and the size of its members; not with where the
    pictures lie."""
    told = hashlib.sha256()
    for shard in shards:
        for picture in shard:
            told.update(f"{picture.key}\0{picture.label}\0{picture.size}\n".encode())
            if picture.beside is not None:
                told.update(picture.beside.json() + b"\n")
            if picture.others is not None:
                told.update(f"{picture.others.size}\n".encode())
        told.update(b"\n")
    return told.hexdigest()
