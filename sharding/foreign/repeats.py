"""Keys that stand in several tars of a split: the same sample twice, or others of the same name.

Keys are compared by 8 bytes of their digests: over ten million of them two different ones fall together with a chance
of 3e-6, and what is called the same sample has the same size and CRC-32 as well.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tarn.sharding.archives.headers import shown
from tarn.sharding.foreign.samples import Samples

NAMED = 10  # pairs of tars


@dataclass(frozen=True, slots=True)
class Shared:
    """What two tars have both. tars: their places; count: of the keys; key: the first of them."""

    tars: tuple[int, int]
    count: int
    key: str


@dataclass(frozen=True, slots=True)
class Repeats:
    """same: samples that come again, by the first few pairs of tars; pairs: how many pairs there are. others: keys that
    come again with another picture, counted over all tars, and the tars of the first."""

    same: tuple[Shared, ...] = ()
    pairs: int = 0
    others: Shared | None = None


def repeats(tars: Sequence[Samples]) -> Repeats:
    """Of the tars of one split."""
    digests = np.concatenate([np.zeros(0, np.uint64), *(samples.digests for samples in tars)])
    order = np.argsort(digests, kind="stable")
    again = digests[order[1:]] == digests[order[:-1]]
    if not again.any():
        return Repeats()
    suspects = order[np.append(again, False) | np.append(False, again)]
    sizes, sums = (np.concatenate([samples.records[name] for samples in tars]) for name in ("size", "crc32"))
    suspects = suspects[np.lexsort((suspects, sums[suspects], sizes[suspects], digests[suspects]))]
    before, behind = suspects[:-1], suspects[1:]
    repeated = digests[before] == digests[behind]
    equal = repeated & (sizes[before] == sizes[behind]) & (sums[before] == sums[behind])
    others = np.stack([before, behind])[:, repeated & ~equal]
    return of_same(tars, np.stack([before, behind])[:, equal], of_others(tars, others))


def of_others(tars: Sequence[Samples], places: NDArray[np.int64]) -> Shared | None:
    """places: 2 x n, among all samples."""
    if not places.size:
        return None
    column = int(places.min(axis=0).argmin())
    return shared(tars, sorted(places[:, column].tolist()), places.shape[1])


def of_same(tars: Sequence[Samples], places: NDArray[np.int64], others: Shared | None) -> Repeats:
    places = places[:, np.argsort(places[0], kind="stable")]
    first, second = np.searchsorted(starts_of(tars), places, "right") - 1
    _, columns, counts = np.unique(first * len(tars) + second, return_index=True, return_counts=True)
    named = zip(columns[:NAMED].tolist(), counts[:NAMED].tolist(), strict=True)
    same = tuple(shared(tars, places[:, column].tolist(), count) for column, count in named)
    return Repeats(same, len(columns), others)


def shared(tars: Sequence[Samples], places: list[int], count: int) -> Shared:
    starts = starts_of(tars)
    first, second = (np.searchsorted(starts, places, "right") - 1).tolist()
    return Shared((first, second), count, shown(tars[first].keys[places[0] - int(starts[first])]))


def starts_of(tars: Sequence[Samples]) -> NDArray[np.int64]:
    """The place among all samples of each tar's first one."""
    return np.cumsum([0, *(len(samples.records) for samples in tars)])
