"""Part of a split's samples, by the pictures themselves: how a validation split is drawn from a training split.

Whether a sample is held out depends on its picture's bytes alone (their CRC-32 and their number, which every index
tells): not on its shard, its place, the seed or the order, so packing anew into other shards, or adding pictures, moves
none; storing other bytes (`--max-side`, `--no-tile`) draws anew. Pictures that come twice are on one side. Classes are
not looked at: each has about its part held out, and one of few pictures may have none (Subset.labels tells).
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from tarn.sharding.errors import UsageError
from tarn.training.streaming.randomness import key_of, mix

Ints = NDArray[np.int64]

HELD_OUT = 5  # what the key is for
REMEMBERED = 256  # shards


def is_held_out(records: NDArray[np.void], fraction: float) -> NDArray[np.bool_]:
    """Of an index's records (sharding/format/manifest.py). What a fraction holds out, a larger one does too."""
    return drawn_by_picture(records) < fraction


def drawn_by_picture(records: NDArray[np.void]) -> NDArray[np.float64]:
    """A number in [0, 1) for each record, from its picture's bytes alone."""
    told = records["crc32"].astype(np.uint64) << np.uint64(32) | records["size"].astype(np.uint64)
    return (mix(key_of(HELD_OUT) ^ mix(told)) >> np.uint64(11)).astype(np.float64) * 2.0**-53


@dataclass(frozen=True, slots=True)
class Holdout:
    """fraction: of the pictures of `split` that are held out, to stand in for `val_split`. Raises UsageError."""

    fraction: float
    split: str = "train"
    val_split: str = "val"

    def __post_init__(self) -> None:
        if not 0 < self.fraction < 1:
            raise UsageError(f"data.val_fraction={self.fraction:g} must be between 0 and 1, such as 0.1.")

    @property
    def name(self) -> str:
        """As reports tell of it."""
        return f"{self.fraction:g} of {self.split}"


@dataclass(frozen=True)
class Subset:
    """bits: of each shard in the manifest's order, one for each sample (numpy.packbits). samples: of whole shards.
    labels: that its samples have, each once."""

    bits: tuple[bytes, ...]
    samples: tuple[int, ...]
    labels: frozenset[int] = frozenset()

    @cached_property
    def sizes(self) -> Ints:
        """Samples of each shard that belong to it."""
        pairs = zip(self.bits, self.samples, strict=True)
        return np.array([len(members(bits, samples)) for bits, samples in pairs], np.int64)

    def places(self, shards: Ints, numbers: Ints) -> Ints:
        """Where in the whole shards samples stand that have these numbers among those that belong to it."""
        places = np.empty_like(numbers)
        for shard in np.unique(shards).tolist():
            chosen = shards == shard
            places[chosen] = members(self.bits[shard], self.samples[shard])[numbers[chosen]]
        return places

    def fingerprint(self, whole: str) -> str:
        """16 hex digits. whole: those of the split."""
        return hashlib.sha256(whole.encode() + b"".join(self.bits)).hexdigest()[:16]


@lru_cache(REMEMBERED)
def members(bits: bytes, samples: int) -> Ints:
    """Places whose bit is set."""
    return np.flatnonzero(np.unpackbits(np.frombuffer(bits, np.uint8), count=samples))


def divided(indexes: Iterable[NDArray[np.void]], fraction: float) -> tuple[Subset, Subset]:
    """What is left for training and what is held out, of indexes one after the other, in the manifest's order."""
    left, held, samples = list[bytes](), list[bytes](), list[int]()
    trained, validated = set[int](), set[int]()
    for records in indexes:
        out = is_held_out(records, fraction)
        left.append(np.packbits(~out).tobytes())
        held.append(np.packbits(out).tobytes())
        samples.append(len(records))
        trained.update(np.unique(records["label"][~out]).tolist())
        validated.update(np.unique(records["label"][out]).tolist())
    whole = tuple(samples)
    return Subset(tuple(left), whole, frozenset(trained)), Subset(tuple(held), whole, frozenset(validated))
