"""The sample that a key or a place names.

By the lists of names that DALI reads, where the dataset has them (see interchange), a file a shard; else by the header
before each picture, a block each, shard for shard until it is found.
"""

import re

from tarn.sharding import storage
from tarn.sharding.errors import UsageError
from tarn.sharding.foreign.reading import parted
from tarn.sharding.format.manifest import ShardInfo
from tarn.sharding.interchange.dali import dali_name, keys_in
from tarn.sharding.interchange.described import DALI, Described
from tarn.sharding.looking.dataset import Dataset, Located
from tarn.sharding.looking.names import name_in, window_of
from tarn.sharding.progress import progress_bar

PLACE = re.compile(r"(?P<shard>.+):(?P<row>\d+)")


def search(dataset: Dataset, wanted: str) -> Located:
    """wanted: a key, or `<shard>:<place>` such as train/train-000000.tar:5. Raises UsageError where it is not there."""
    if (match := PLACE.fullmatch(wanted)) is not None:
        for split, shard in dataset.shards():
            if match["shard"] in names_of(shard):
                return at(dataset, split, shard, int(match["row"]))
    described = Described.read(dataset.root)
    listed = DALI in described.kinds and described.is_of(dataset.manifest)
    total = sum(split.samples for split in dataset.manifest.splits.values())
    with progress_bar(total, f"looking for {wanted}", "img") as bar:
        for split, shard in dataset.shards():
            row = in_list(dataset, shard, wanted) if listed else in_headers(dataset, split, shard, wanted)
            if row is not None:
                return at(dataset, split, shard, row)
            bar.update(shard.samples)
    raise UsageError(
        f"{dataset.root} has no sample {wanted!r}: give a key as its tars name it, without the ending, or "
        f"SHARD:N such as {next((shard.name for _, shard in dataset.shards()), 'train/train-000000.tar')}:0."
    )


def names_of(shard: ShardInfo) -> set[str]:
    """As people may write it: whole, without .tar, without folders."""
    short = shard.name.rsplit("/", 1)[-1]
    return {shard.name, shard.name.removesuffix(".tar"), short, short.removesuffix(".tar")}


def at(dataset: Dataset, split: str, shard: ShardInfo, row: int) -> Located:
    if row >= shard.samples:
        raise UsageError(f"{shard.name} has {shard.samples} samples, numbered from 0: there is no {row}.")
    return dataset.located(split, shard, [row])[0]


def in_headers(dataset: Dataset, split: str, shard: ShardInfo, key: str) -> int | None:
    """The row of the key; only headers that hold its text are parsed."""
    indexed = dataset.split(split).indexed
    text = key.rpartition("/")[2].encode("utf-8", "surrogateescape")  # which long names keep in one piece, too
    offsets = dataset.records(shard)["offset"].tolist()
    ranges = (window_of(offset, indexed) for offset in offsets)
    for row, window in enumerate(dataset.windows.read(shard.name, ranges)):
        if text in window and parted(name_in(window, dataset.url(shard)))[0] == key:
            return row
    return None


def in_list(dataset: Dataset, shard: ShardInfo, key: str) -> int | None:
    url = storage.join(dataset.root, dali_name(shard.name))
    return next((row for row, name in enumerate(keys_in(storage.read_bytes(url), url)) if name == key), None)
