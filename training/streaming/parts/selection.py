"""The samples of a part and their labels, found once: from the indexes, and where keys matter from headers too."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tarn.sharding.errors import TarnError, UsageError
from tarn.sharding.foreign.samples import digest
from tarn.sharding.format.manifest import Manifest, ShardInfo
from tarn.sharding.looking.names import keys_of
from tarn.training.streaming.holdout import indexes_of
from tarn.training.streaming.part import Part
from tarn.training.streaming.parts.classes import numbers_of
from tarn.training.streaming.parts.keys import KeyBook
from tarn.training.streaming.parts.labels import LabelTable
from tarn.training.streaming.relabelling import OWN
from tarn.training.streaming.remote.source import RemoteSource
from tarn.training.streaming.sources import Source
from tarn.training.streaming.subset import Subset, drawn_by_picture

Mask = NDArray[np.bool_]


@dataclass(slots=True)
class Chosen:
    """bits, samples: as Subset has them; joined: as Relabelling has it, of each shard."""

    bits: list[bytes] = field(default_factory=list)
    samples: list[int] = field(default_factory=list)
    joined: list[bytes] = field(default_factory=list)
    labels: set[int] = field(default_factory=set)

    def subset(self) -> Subset:
        return Subset(tuple(self.bits), tuple(self.samples), frozenset(self.labels))


class Selection:
    """Of one part. folder: of the cache, beside which keys are kept, if there is one. Raises UsageError for classes and
    keys that are not there, TarnError for what cannot be read."""

    def __init__(
        self,
        part: Part,
        manifest: Manifest,
        split: str,
        source: Source,
        table: LabelTable | None,
        folder: Path | None,
    ) -> None:
        self.part, self.source, self.table = part, source, table
        self.shards, self.is_labelled = manifest.split(split).shards, manifest.is_labelled(split)
        self.classes = numbers_of(part.classes, manifest.classes, part.url) if part.classes else None
        self.wanted = wanted_keys(part.keys) if part.keys is not None else None
        reader = source.reader if isinstance(source, RemoteSource) else None
        kept = folder / "keys" if folder is not None else None
        self.book = KeyBook(kept, source.tars, manifest.split(split).indexed, reader)
        self.listed = self.labelled = 0  # samples whose keys stand in the list, and in the table

    @property
    def by_key(self) -> bool:
        return self.wanted is not None or self.table is not None

    def made(self) -> Chosen:
        """All shards, in the manifest's order."""
        chosen, first = Chosen(), 0
        for shard, records in zip(self.shards, indexes_of(self.source), strict=True):
            mask = self.of_index(records, first)
            if self.by_key:
                mask &= self.of_keys(shard, records, mask, chosen)
            chosen.bits.append(np.packbits(mask).tobytes())
            chosen.samples.append(len(records))
            chosen.labels.update(np.unique(records["label"][mask]).tolist())
            first += len(records)
        self.refuse_strangers()
        return chosen

    def of_index(self, records: NDArray[np.void], first: int) -> Mask:
        """By class, fraction and range. first: the number of the shard's first sample."""
        mask = np.ones(len(records), np.bool_)
        if self.classes is not None:
            mask &= np.isin(records["label"], sorted(self.classes))
        low, high = self.part.between
        if (low, high) != (0, 1):
            drawn = drawn_by_picture(records)
            mask &= (drawn >= low) & (drawn < high)
        if self.part.samples is not None:
            numbers = np.arange(first, first + len(records))
            mask &= (numbers >= self.part.samples[0]) & (numbers < self.part.samples[1])
        return mask

    def of_keys(self, shard: ShardInfo, records: NDArray[np.void], mask: Mask, chosen: Chosen) -> Mask:
        """By the list of keys, and by the table, whose labels are joined on the way."""
        keys = self.book.digests(shard, records)
        kept = np.ones(len(records), np.bool_)
        if self.wanted is not None:
            kept = np.isin(keys, self.wanted)
            self.listed += int(kept.sum())
        if self.table is not None:
            labels = self.table.join(keys)
            without = labels == OWN
            self.labelled += int((~without).sum())
            refused = self.part.missing == "refuse" or (self.part.missing == "own" and not self.is_labelled)
            if refused and (bare := np.flatnonzero(without & mask & kept)).size:
                key = next(self.keys(len(chosen.bits), [int(bare[0])]))
                rest = ": add it, or give missing='own' or 'drop'."
                if not self.is_labelled:
                    rest = ", and no label of its own: add it, or give missing='drop'."
                raise TarnError(
                    f"{self.source.url(len(chosen.bits))}: the sample {key} has no row in {self.table.url}{rest}"
                )
            if self.part.missing == "drop":
                kept &= ~without
            chosen.joined.append(labels.astype("<i4").tobytes())
        return kept

    def refuse_strangers(self) -> None:
        """A list or a table that tells of no sample at all is another dataset's."""
        for told, is_asked, found in (
            (self.part.keys, self.wanted is not None, self.listed),
            (self.part.labels, self.table is not None, self.labelled),
        ):
            if is_asked and not found:
                raise UsageError(
                    f"{told} names no sample of {self.part.url}: give keys as batches and `show` tell them, such as "
                    f"{next(self.keys(0, [0]))}."
                )

    def notes(self) -> list[str]:
        """Of a list of keys of which the dataset does not have all."""
        if self.wanted is None or self.listed >= len(self.wanted):
            return []
        missing = len(self.wanted) - self.listed
        return [f"{missing:,} of the {len(self.wanted):,} keys in {self.part.keys} are no samples of {self.part.url}."]

    def keys(self, shard: int, rows: list[int]) -> Iterator[str]:
        self.source.load_indexes({shard})
        yield from keys_of(self.book.windows, self.shards[shard], self.source.indexes[shard], self.book.indexed, rows)


def wanted_keys(file: str) -> NDArray[np.uint64]:
    """Digests of a file's keys, one a line. Raises UsageError for a file that cannot be read or holds none."""
    try:
        lines = Path(file).expanduser().read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"keys={file!r} cannot be read ({error}): give a text file with a key in each line."
        ) from error
    keys = [digest(line.strip()) for line in lines if line.strip()]
    if not keys:
        raise UsageError(f"keys={file!r} holds no key: give a text file with a key in each line.")
    return np.unique(np.array(keys, np.uint64))
