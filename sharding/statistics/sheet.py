"""A few random pictures of each split, small, for the page."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from tarn.sharding.archives.headers import shown
from tarn.sharding.foreign.reading import parted
from tarn.sharding.looking.dataset import Dataset, Sample
from tarn.sharding.pillow import BrokenPictureError
from tarn.sharding.thumbnail import thumbnail

SIDE = 128  # px of a thumbnail's longer side
QUALITY = 80


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """jpeg: None for a picture that cannot be read."""

    key: str
    wnid: str
    name: str
    width: int
    height: int
    jpeg: bytes | None


def thumbnails(dataset: Dataset, split: str, count: int, seed: int) -> Iterator[Thumbnail]:
    """In the order of the shards; the seed alone draws them. Raises TarnError."""
    shards = dataset.split(split).shards
    starts = np.cumsum([0, *(shard.samples for shard in shards)])
    raw = np.random.Philox(key=seed & 0xFFFFFFFFFFFFFFFF).random_raw(int(starts[-1]))
    for number in sorted(np.argsort(raw, kind="stable")[:count].tolist()):
        place = int(np.searchsorted(starts, number, "right")) - 1
        (sample,) = dataset.read(dataset.located(split, shards[place], [number - int(starts[place])]))
        yield shown_small(dataset, sample)


def shown_small(dataset: Dataset, sample: Sample) -> Thumbnail:
    label = sample.located.label
    wnid, key = dataset.class_of(label), shown(parted(sample.name)[0])
    name = dataset.manifest.classes[label].name if 0 <= label < len(dataset.manifest.classes) else wnid
    try:
        size, jpeg = thumbnail(sample.data, SIDE, QUALITY)
    except BrokenPictureError:
        return Thumbnail(key, wnid, name, 0, 0, None)
    return Thumbnail(key, wnid, name, *size, jpeg)
