"""Two packed datasets compared: classes, splits, samples by key, labels, bytes of pictures, order.

Shards of the same SHA-256 are the same and are not read. Of the others, indexes tell labels, sizes and CRC-32s; keys
stand in the tars alone, so the header before each picture is read, a block each (by range from a store); where more
lies between pictures than labels, such as a .json or a mask, all of that is.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tarn.sharding.archives.headers import shown as harmless
from tarn.sharding.foreign.reading import parted
from tarn.sharding.foreign.samples import LABEL
from tarn.sharding.format.archive import BLOCK
from tarn.sharding.format.index import read_index
from tarn.sharding.format.manifest import Manifest, ShardInfo, Split
from tarn.sharding.looking.members import gaps, samples_of
from tarn.sharding.looking.names import keys_of
from tarn.sharding.looking.windows import Windows
from tarn.sharding.progress import progress_bar

SHOWN = 5
Picture = tuple[int, int]  # size in bytes, CRC-32
Others = tuple[tuple[str, bytes], ...]  # members beside picture and label: endings and bytes
Sample = tuple[str, Picture, Others]
USUAL = 3 * BLOCK  # bytes between two pictures of our tars: the label's header, the label, the header of the picture


@dataclass(frozen=True, slots=True)
class Side:
    """One of both datasets."""

    root: str
    manifest: Manifest

    def samples(self, split: Split, shards: Sequence[ShardInfo]) -> dict[str, Sample]:
        """By key, in order. A key that comes again counts once. Raises TarnError."""
        found: dict[str, Sample] = {}
        windows = Windows(self.manifest.shards_root(self.root))
        names = [info.wnid for info in self.manifest.classes]
        with progress_bar(sum(shard.samples for shard in shards), f"reading keys of {self.root}", "img") as bar:
            for shard in shards:
                records = read_index(self.root, shard)
                keys = keys_of(windows, shard, records, split.indexed)
                told = others_of(windows, shard, records) if not split.indexed else {}
                for key, (_, size, label, crc32) in zip(keys, records.tolist(), strict=True):
                    name = names[label] if 0 <= label < len(names) else str(label)
                    found[key] = name, (size, crc32), told.get(key, ())
                bar.update(len(records))
        return found


def others_of(windows: Windows, shard: ShardInfo, records: NDArray[np.void]) -> dict[str, Others]:
    """By key, of those samples that have any. Raises TarnError."""
    ranges = gaps(shard, records)[: len(records)]
    if all(end - start == USUAL for start, end in ranges):
        return {}
    pictures = set(records["offset"].tolist())
    found = dict[str, Others]()
    for key, parts in samples_of(windows, shard, records):
        rest = [(parted(part.name)[1], bytes(part.data)) for part in parts if part.offset not in pictures]
        found[harmless(key)] = tuple(sorted(each for each in rest if each[0] != LABEL))
    return found


def diff(first: Side, second: Side) -> list[str]:
    """A line for each thing that differs, none where the datasets are equal. Raises TarnError."""
    lines = list(diff_classes(first.manifest, second.manifest))
    splits = dict.fromkeys([*first.manifest.splits, *second.manifest.splits])
    for name in splits:
        mine, theirs = first.manifest.splits.get(name), second.manifest.splits.get(name)
        if mine is None or theirs is None:
            there, split = (second, theirs) if mine is None else (first, mine)
            assert split is not None
            lines.append(f"{name}: only in {there.root}, {split.samples:,} samples")
        else:
            lines += [f"{name}: {line}" for line in diff_split(first, second, mine, theirs)]
    return lines


def diff_classes(first: Manifest, second: Manifest) -> Iterator[str]:
    ours, theirs = ({info.wnid: info.name for info in it.classes} for it in (first, second))
    if first.classes == second.classes:
        return
    if len(ours) != len(theirs):
        yield f"classes: {len(ours):,} and {len(theirs):,}"
    for title, names in (
        ("in the first", [it for it in ours if it not in theirs]),
        ("in the second", [it for it in theirs if it not in ours]),
    ):
        if names:
            yield f"classes: {len(names):,} only {title} ({shown(names)})"
    if set(ours) == set(theirs) and list(ours) != list(theirs):
        yield "classes: the same, numbered otherwise"
    renamed = [wnid for wnid in ours if wnid in theirs and ours[wnid] != theirs[wnid]]
    if renamed:
        yield f"classes: {len(renamed):,} are called otherwise ({shown(renamed)})"


def diff_split(first: Side, second: Side, ours: Split, theirs: Split) -> Iterator[str]:
    digests = [[shard.sha256 for shard in split.shards] for split in (ours, theirs)]
    if digests[0] == digests[1]:
        yield from diff_readings(ours, theirs)
        return
    shared = set(digests[0]) & set(digests[1])
    mine = first.samples(ours, [shard for shard in ours.shards if shard.sha256 not in shared])
    others = second.samples(theirs, [shard for shard in theirs.shards if shard.sha256 not in shared])
    if ours.samples != theirs.samples:
        yield f"{ours.samples:,} samples and {theirs.samples:,}"
    yield from named("only in the first", [key for key in mine if key not in others])
    yield from named("only in the second", [key for key in others if key not in mine])
    both = [key for key in mine if key in others]
    labels = [f"{key}: {mine[key][0]} and {others[key][0]}" for key in both if mine[key][0] != others[key][0]]
    yield from named("of another class", labels)
    changed = [key for key in both if mine[key][1] != others[key][1]]
    sizes = [sum(side[key][1][0] for key in changed) for side in (mine, others)]
    yield from named(f"of other bytes, {sizes[0]:,} and {sizes[1]:,} in all", changed)
    yield from named("of other members beside the picture", [key for key in both if mine[key][2] != others[key][2]])
    place = first_apart(ours, theirs, mine, others, shared)
    if place is not None:
        yield f"those that are in both come in another order, from number {place:,} of them on"
    elif mine == others:
        yield "the same samples in the same order, in other tars"


def diff_readings(ours: Split, theirs: Split) -> Iterator[str]:
    """Of the same tars, somebody else's, other pictures or labels may be read."""
    if ours.packed.get("reading") != theirs.packed.get("reading"):
        yield "the same tars, indexed with another --picture or --label"


def first_apart(
    ours: Split, theirs: Split, mine: Mapping[str, Sample], others: Mapping[str, Sample], shared: set[str]
) -> int | None:
    """Counted from 1, among the samples in both; a shard in both counts as its samples."""
    sequences = []
    for split, here, there in ((ours, mine, others), (theirs, others, mine)):
        keys, sequence = iter(here), list[tuple[str, int]]()
        for shard in split.shards:
            if shard.sha256 in shared:
                sequence.append((shard.sha256, shard.samples))
                continue
            some = [next(keys, "") for _ in range(shard.samples)]
            sequence += [(key, 1) for key in some if key in there]
        sequences.append(sequence)
    place = 1
    for one, other in zip(*sequences, strict=False):
        if one != other:
            return place
        place += one[1]
    return None


def named(what: str, names: Sequence[str]) -> Iterator[str]:
    if names:
        yield f"{len(names):,} {what} ({shown(names)})"


def shown(names: Sequence[str]) -> str:
    more = f", and {len(names) - SHOWN:,} more" if len(names) > SHOWN else ""
    return ", ".join(map(harmless, names[:SHOWN])) + more
