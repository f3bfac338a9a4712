"""From the members of a tar to its samples: adjacent members of one key, a picture and a label among them."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tarn.sharding.archives.headers import shown
from tarn.sharding.archives.tar import Member
from tarn.sharding.foreign.labels import Label, Names, label_of, read_json, text_of, wnid_of
from tarn.sharding.foreign.problems import AGAIN, Problem, problem_of
from tarn.sharding.foreign.reading import Reading, parted
from tarn.sharding.format.archive import padded
from tarn.sharding.format.manifest import RECORD, UNLABELLED

LABEL = "cls"  # the member that every packing writes itself


@dataclass(frozen=True, slots=True)
class Samples:
    """Those of one tar, in its order, held small: a split may have millions.

    records: as in the index, but labels are places in `labels` (UNLABELLED: of no class); joined: the keys, with zero
    characters between; digests: eight bytes of each key, to compare those of a whole split; endings: of each picture,
    as it is written, with the dot; beside: how many members of other endings the samples have, but for a .cls that
    tells the label; spans: of each sample, all its bytes in the tar, N x 2.
    """

    records: NDArray[np.void]
    labels: tuple[Label, ...]
    names: Names
    joined: str
    digests: NDArray[np.uint64]
    problems: tuple[Problem, ...]
    endings: tuple[str, ...] = ()
    beside: Mapping[str, int] = field(default_factory=dict)
    spans: NDArray[np.int64] = field(default_factory=lambda: np.zeros((0, 2), np.int64))

    @property
    def keys(self) -> list[str]:
        return self.joined.split("\0") if self.joined else []

    def numbered(self, numbers: Mapping[Label, int]) -> NDArray[np.void]:
        """The records of the index, given the number of each label's class."""
        records = self.records.copy()
        if not self.labels:
            return records
        records["label"] = np.array([numbers[label] for label in self.labels], np.int32)[records["label"]]
        return records


class Collector:
    """Takes samples one by one and says what is wrong with them. empty: pictures without a byte are taken too."""

    def __init__(self, reading: Reading, empty: bool = False) -> None:
        self.reading, self.empty = reading, empty
        self.rows: list[tuple[int, int, int, int]] = []
        self.keys: list[str] = []
        self.seen: set[str] = set()
        self.labels: dict[Label, int] = {}
        self.names = Names()
        self.problems: list[Problem] = []
        self.endings: list[str] = []
        self.known: dict[str, str] = {}  # endings, each once in memory
        self.beside = Counter[str]()
        self.spans: list[tuple[int, int]] = []
        self.end = 0  # of the sample before

    def add(self, key: str, parts: Mapping[str, Member], doubled: bool) -> None:
        """doubled: two members of the sample have the same ending."""
        begin, self.end = self.end, max(part.offset + padded(part.size) for part in parts.values())
        told = read_json(parts["json"].data) if "json" in parts else {}
        label = label_of(key, parts, told, self.reading)
        problem = problem_of(key, parts, label, doubled, self.reading, self.empty)
        if key in self.seen:
            problem = Problem(AGAIN, shown(key))
        self.seen.add(key)
        if problem is not None:
            self.problems.append(problem)
            return
        ending = self.reading.pictures(parts)[0]
        picture = parts[ending]
        number = self.labels.setdefault(label, len(self.labels)) if label is not None else UNLABELLED
        self.rows.append((picture.offset, picture.size, number, picture.crc32))
        self.keys.append(key)
        written = picture.name[-len(ending) - 1 :]
        self.endings.append(self.known.setdefault(written, written))
        self.beside.update(set(parts) - {ending, LABEL if self.reading.tells_label(LABEL) else ""})
        self.spans.append((begin, self.end))
        if label is not None:
            self.names.add(label, wnid_of(key, told), text_of(told))

    def samples(self) -> Samples:
        return Samples(
            np.array(self.rows, RECORD),
            tuple(self.labels),
            self.names,
            "\0".join(self.keys),
            np.array([digest(key) for key in self.keys], np.uint64),
            tuple(self.problems),
            tuple(self.endings),
            self.beside,
            np.array(self.spans, np.int64).reshape(-1, 2),
        )


def collect(members: Iterable[Member], reading: Reading, empty: bool = False) -> Samples:
    """Members of no key (hidden ones, those without a dot) are passed over, as the webdataset library does. empty: see
    Collector."""
    collector, current, doubled = Collector(reading, empty), "", False
    parts: dict[str, Member] = {}
    for member in members:
        key, ending = parted(member.name)
        if not ending:
            continue
        if parts and key != current:
            collector.add(current, parts, doubled)
            parts, doubled = {}, False
        current, doubled = key, doubled or ending in parts
        parts[ending] = member
    if parts:
        collector.add(current, parts, doubled)
    return collector.samples()


def digest(key: str) -> int:
    raw = key.encode("utf-8", "surrogateescape")
    return int.from_bytes(hashlib.blake2b(raw, digest_size=8).digest(), "little")
