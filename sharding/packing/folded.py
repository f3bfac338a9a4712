"""The pictures of a shard, folded until they are asked for: those of ImageNet would take 440 MB in the meantime."""

import pickle
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import overload

from tarn.sharding.sources import Picture

MANY = 100_000  # pictures of a split; fewer take less memory than this takes time


@dataclass(frozen=True, slots=True)
class Folded(Sequence[Picture]):
    """Each look at them makes them anew. data: made by this very process."""

    data: bytes
    length: int

    @classmethod
    def of(cls, pictures: Iterable[Picture]) -> "Folded":
        whole = tuple(pictures)
        return cls(zlib.compress(pickle.dumps(whole, protocol=5), 1), len(whole))

    def unfolded(self) -> tuple[Picture, ...]:
        found: tuple[Picture, ...] = pickle.loads(zlib.decompress(self.data))
        return found

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[Picture]:
        return iter(self.unfolded())

    @overload
    def __getitem__(self, index: int) -> Picture: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Picture, ...]: ...
    def __getitem__(self, index: int | slice) -> Picture | tuple[Picture, ...]:
        return self.unfolded()[index]
