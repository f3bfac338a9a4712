"""From tars to labelled pictures, by the stages of the webdataset library: expand, group, shuffle.

None of its decoders is ever called, and none of its openers: some of them run what a tar or a URL tells.
"""

import random
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from webdataset import filters
from webdataset.tariterators import group_by_keys, tar_file_expander

from tarn.sharding.archives.headers import shown
from tarn.sharding.archives.tar import Member
from tarn.sharding.errors import TarnError
from tarn.sharding.foreign.classes import MOST_CLASSES, numbers_of
from tarn.sharding.foreign.labels import Label, label_of, read_json, wnid_of
from tarn.sharding.foreign.problems import problem_of
from tarn.sharding.foreign.reading import MOST_BYTES, Reading, parted
from tarn.sharding.format.manifest import ClassInfo
from tarn.sharding.storage.persistence import Patience
from tarn.training.streaming.sequential.bytes import StreamError, pieces_of
from tarn.training.streaming.sequential.tar import CheckedStream, is_wanted, unpacked


@dataclass(frozen=True, slots=True)
class RawSample:
    """Undecoded."""

    url: str
    key: str
    picture: bytes
    label: int


class Samples:
    """The samples of some tars, in order. Iterated once."""

    def __init__(
        self,
        urls: Sequence[str],
        classes: Sequence[ClassInfo] | None,
        reading: Reading,
        options: Mapping[str, Any],
        patience: Patience,
    ) -> None:
        self.urls, self.reading, self.options, self.patience = urls, reading, options, patience
        self.endings = reading.endings()
        self.numbers: dict[Label, int] | None = numbers_of(classes) if classes is not None else None
        self.count = len(classes) if classes is not None else MOST_CLASSES
        self.url, self.taken = "", 0

    def __iter__(self) -> Iterator[RawSample]:
        """Raises StreamError, naming the URL, for what cannot be read, and for samples without picture or label."""
        expand: Any = tar_file_expander
        group: Any = group_by_keys
        at, keys = "", set[str]()
        try:
            with closing(self.streams()) as streams:
                for found in group(expand(streams, select_files=self.select), keys=parted):
                    if found["__url__"] != at:
                        at, keys = found["__url__"], set()
                    if found["__key__"] in keys:
                        raise self.wrong(found, "is among the keys that come again behind other samples")
                    keys.add(found["__key__"])
                    yield self.labelled(found)
        except TarnError:
            raise
        except Exception as error:  # tarfile's, and the library's own for a sample's second member of one ending
            what = str(error.args[0] if error.args else error).split(" dict_keys")[0]
            raise StreamError(f"{self.url}: {shown(what)}: pack it again.") from error

    def streams(self) -> Generator[dict[str, object], None, None]:
        """In place of the library's opener. What follows the yield runs when the library is at a tar's end."""
        for url in self.urls:
            self.url, self.taken = url, 0
            stream = CheckedStream(url, unpacked(url, pieces_of(url, self.options, self.patience)), self.endings)
            yield {"url": url, "stream": stream}
            stream.finish(self.taken)

    def select(self, name: str) -> bool:
        wanted = is_wanted(name, self.endings)
        self.taken += wanted
        return wanted

    def labelled(self, found: Mapping[str, Any]) -> RawSample:
        """By the rules of indexing (sharding/foreign)."""
        key, parts = found["__key__"], {name: part_of(name, found[name]) for name in found if name in self.endings}
        told = read_json(parts["json"].data) if "json" in parts else {}
        label = label_of(key, parts, told, self.reading)
        problem = problem_of(key, parts, label, False, self.reading)
        if problem is not None:
            raise self.wrong(found, f"is among the {problem.told}")
        assert label is not None
        number = label if isinstance(label, int) else (self.numbers or {}).get(label)
        if number is None:
            raise self.wrong(found, f"has the label {label}, which {self.missing(label)}")
        if not 0 <= number < self.count:
            raise self.wrong(found, f"has the label {number}, outside 0 to {self.count - 1}")
        wnid = wnid_of(key, told)
        if self.numbers is not None and self.numbers.get(wnid or "", number) != number:
            raise self.wrong(found, f"has the label {number} and {wnid}, which classes numbers otherwise")
        return RawSample(found["__url__"], key, found[self.reading.pictures(parts)[0]], number)

    def missing(self, label: Label) -> str:
        """Why a label has no number."""
        if self.numbers is None:
            return "needs classes, the wnids or names in their order"
        return "classes does not list" if isinstance(label, str) else "is no name of exactly one of classes"

    def wrong(self, found: Mapping[str, Any], what: str) -> StreamError:
        return StreamError(f"{found['__url__']}: {shown(found['__key__'])} {what}: pack it again.")


def part_of(name: str, data: bytes) -> Member:
    """As the rules of labels know it, which read no overlong one."""
    return Member(name, 0, len(data), 0, data if len(data) <= MOST_BYTES else None)


def shuffled(samples: Iterator[RawSample], size: int, rng: random.Random) -> Iterator[RawSample]:
    """Through a buffer of so many samples, by the library; it gives the first when a tenth has come."""
    shuffle: Any = filters.shuffle
    mixed: Iterator[RawSample] = shuffle(size, initial=max(1, size // 10), rng=rng)(samples) if size > 1 else samples
    return mixed
