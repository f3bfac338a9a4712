"""Where samples of a plan come from: one dataset, or what of it belongs to the plan."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from tarn.sharding import storage
from tarn.sharding.format.manifest import ShardInfo
from tarn.training.streaming.access import Access
from tarn.training.streaming.relabelling import Relabelling
from tarn.training.streaming.subset import Subset

Ints = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Plain values, sent to the workers once. root: where the manifest and the indexes lie; tars: where the shards do.
    subset: the samples that belong to it; relabelling: what their labels become; None: all, as the indexes tell."""

    root: str
    tars: str
    shards: tuple[ShardInfo, ...]
    access: Access
    subset: Subset | None = None
    relabelling: Relabelling | None = None

    @cached_property
    def sizes(self) -> Ints:
        """Samples of each shard that belong to it."""
        if self.subset is not None:
            return self.subset.sizes
        return np.array([shard.samples for shard in self.shards], np.int64)

    @cached_property
    def samples(self) -> int:
        return int(self.sizes.sum())

    @property
    def is_local(self) -> bool:
        return storage.local_path(self.tars) is not None

    def places(self, shards: Ints, numbers: Ints) -> Ints:
        """Where in their shards samples stand, of their numbers among those that belong to it."""
        return numbers if self.subset is None else self.subset.places(shards, numbers)

    def fingerprint(self, whole: str) -> str:
        """16 hex digits of what of a split belongs to it, and as what. whole: those of the split."""
        told = whole if self.subset is None else self.subset.fingerprint(whole)
        return told if self.relabelling is None else self.relabelling.fingerprint(told)


@dataclass(frozen=True)
class Origins:
    """Several, whose shards are numbered one behind the other. names, fingerprints: of each, where there are several;
    a name is as somebody wrote it."""

    each: tuple[Origin, ...]
    names: tuple[str, ...] = ()
    fingerprints: tuple[str, ...] = ()

    @cached_property
    def firsts(self) -> Ints:
        """The number of each one's first shard."""
        counts = [len(origin.shards) for origin in self.each]
        return np.cumsum([0, *counts[:-1]]).astype(np.int64)

    @cached_property
    def sizes(self) -> Ints:
        return np.concatenate([origin.sizes for origin in self.each])

    def of(self, shards: Ints) -> Ints:
        """The origin of each shard."""
        return np.searchsorted(self.firsts, shards, side="right") - 1

    def at(self, shard: int) -> tuple[int, int]:
        """The origin of a shard, and the shard's number in it."""
        number = int(np.searchsorted(self.firsts, shard, side="right")) - 1
        return number, shard - int(self.firsts[number])

    def places(self, shards: Ints, numbers: Ints) -> Ints:
        if len(self.each) == 1:
            return self.each[0].places(shards, numbers)
        places, of = np.empty_like(numbers), self.of(shards)
        for number in np.unique(of).tolist():
            chosen = of == number
            places[chosen] = self.each[number].places(shards[chosen] - self.firsts[number], numbers[chosen])
        return places
