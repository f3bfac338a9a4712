"""Keys of samples, which in a split that is packed stand alone, whatever they did in the tars that they came from."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from tarn.sharding.archives.headers import shown
from tarn.sharding.resharding.others import Others
from tarn.sharding.sources import Picture, Problems
from tarn.sharding.sources.beside import Beside
from tarn.sharding.sources.keys import unique_keys
from tarn.sharding.sources.tree import FilePlace

AGAIN = "keys that come again, also with the names of their tars before them"


@dataclass(frozen=True, slots=True)
class Found:
    """A sample where it lies. key: as its tar has it; tar: that tar's name; beside: its .json, where a packing made one
    and it goes along; others: what else does."""

    key: str
    tar: str
    place: FilePlace
    label: int
    beside: Beside | None = None
    others: Others | None = None


def pictures_of(found: Sequence[Found], problems: Problems) -> tuple[Picture, ...]:
    """By key. A key is carried over; where it begins anew in another tar, the tar's name goes before it. A key that no
    tar of ours can hold is spelled otherwise, as that of a file would be."""
    times = Counter(sample.key for sample in found)
    texts = [sample.key if times[sample.key] == 1 else with_tar(sample) for sample in found]
    if len(set(texts)) != len(texts):
        for text, count in Counter(texts).items():
            if count > 1:
                problems.add(AGAIN, shown(text))
        return ()
    pictures = [
        Picture(key, sample.place, sample.label, sample.place.length(), sample.beside, sample.others)
        for key, sample in zip(unique_keys(texts), found, strict=True)
    ]
    return tuple(sorted(pictures, key=lambda picture: picture.key))


def with_tar(sample: Found) -> str:
    return f"{sample.tar.removesuffix('.tar')}/{sample.key}"
