"""A few random pictures of each split, small, for the page."""

import io
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from PIL import ImageOps

from tarn.sharding.archives.headers import shown
from tarn.sharding.foreign.reading import parted
from tarn.sharding.looking.dataset import Dataset, Sample
from tarn.sharding.pillow import BrokenPictureError, decoding, draft, open_picture

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
        yield thumbnail(dataset, sample)


def thumbnail(dataset: Dataset, sample: Sample) -> Thumbnail:
    label = sample.located.label
    wnid, key = dataset.class_of(label), shown(parted(sample.name)[0])
    name = dataset.manifest.classes[label].name if 0 <= label < len(dataset.manifest.classes) else wnid
    try:
        with open_picture(sample.data) as opened, decoding("damaged pixels"):
            size = opened.size
            draft(opened, "RGB", (2 * SIDE, 2 * SIDE))
            image = ImageOps.exif_transpose(opened).convert("RGB")
            image.thumbnail((SIDE, SIDE))
            out = io.BytesIO()
            image.save(out, "JPEG", quality=QUALITY)
    except BrokenPictureError:
        return Thumbnail(key, wnid, name, 0, 0, None)
    return Thumbnail(key, wnid, name, *size, out.getvalue())
