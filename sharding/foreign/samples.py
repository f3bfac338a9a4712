"""From the members of a tar to its samples: adjacent members of one key, a picture and a label among them."""

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tarn.sharding.foreign.headers import shown
from tarn.sharding.foreign.labels import Label, Names, label_of, read_json, text_of, wnid_of
from tarn.sharding.foreign.tar import Member
from tarn.sharding.format.manifest import RECORD

PICTURES = ("jpg", "jpeg", "png", "webp")


@dataclass(frozen=True, slots=True)
class Samples:
    """Those of one tar, in its order, held small: a split may have millions.

    records: as in the index, but labels are places in `labels`; joined: the keys, with zero characters between;
    digests: eight bytes of each key, to compare those of a whole split; problems: (kind, key).
    """

    records: NDArray[np.void]
    labels: tuple[Label, ...]
    names: Names
    joined: str
    digests: NDArray[np.uint64]
    problems: tuple[tuple[str, str], ...]

    @property
    def keys(self) -> list[str]:
        return self.joined.split("\0") if self.joined else []

    def numbered(self, numbers: Mapping[Label, int]) -> NDArray[np.void]:
        """The records of the index, given the number of each label's class."""
        records = self.records.copy()
        records["label"] = np.array([numbers[label] for label in self.labels], np.int32)[records["label"]]
        return records


class Collector:
    """Takes samples one by one and says what is wrong with them."""

    def __init__(self) -> None:
        self.rows: list[tuple[int, int, int, int]] = []
        self.keys: list[str] = []
        self.seen: set[str] = set()
        self.labels: dict[Label, int] = {}
        self.names = Names()
        self.problems: list[tuple[str, str]] = []

    def add(self, key: str, parts: Mapping[str, Member], doubled: bool) -> None:
        """doubled: two members of the sample have the same ending."""
        told = read_json(parts["json"].data) if "json" in parts else {}
        label = label_of(key, parts, told)
        pictures = [parts[ending] for ending in PICTURES if ending in parts]
        problem = problem_of(pictures, label, parts, doubled)
        if key in self.seen:
            problem = "keys that come again behind other samples"
        self.seen.add(key)
        if problem is not None or label is None:
            self.problems.append((problem or "", shown(key)))
            return
        picture, number = pictures[0], self.labels.setdefault(label, len(self.labels))
        self.rows.append((picture.offset, picture.size, number, picture.crc32))
        self.keys.append(key)
        self.names.add(label, wnid_of(key, told), text_of(told))

    def samples(self) -> Samples:
        return Samples(
            np.array(self.rows, RECORD),
            tuple(self.labels),
            self.names,
            "\0".join(self.keys),
            np.array([digest(key) for key in self.keys], np.uint64),
            tuple(self.problems),
        )


def collect(members: Iterable[Member]) -> Samples:
    """Members of no key (hidden ones, those without a dot) are passed over, as the webdataset library does."""
    collector, current, doubled = Collector(), "", False
    parts: dict[str, Member] = {}
    for member in members:
        folder, slash, base = member.name.rpartition("/")
        stem, _, ending = base.partition(".")
        key, ending = f"{folder}{slash}{stem}", ending.lower()
        if not stem or not ending:
            continue
        if parts and key != current:
            collector.add(current, parts, doubled)
            parts, doubled = {}, False
        current, doubled = key, doubled or ending in parts
        parts[ending] = member
    if parts:
        collector.add(current, parts, doubled)
    return collector.samples()


def problem_of(pictures: list[Member], label: Label | None, endings: Collection[str], doubled: bool) -> str | None:
    if doubled:
        return "samples with two members of the same ending"
    if not pictures:
        return f"samples without a picture ({', '.join(PICTURES)}), which have {', '.join(sorted(endings))}"
    if len(pictures) > 1:
        return "samples with several pictures"
    if pictures[0].size == 0:
        return "empty pictures"
    if label is None:
        return (
            "labels (cls) that are not a number" if "cls" in endings else "samples without a label (cls, json or wnid)"
        )
    return None


def digest(key: str) -> int:
    raw = key.encode("utf-8", "surrogateescape")
    return int.from_bytes(hashlib.blake2b(raw, digest_size=8).digest(), "little")


def repeated(tars: Iterable[Samples]) -> list[str]:
    """Keys that stand in several tars of a split."""
    tars = list(tars)
    digests = np.sort(np.concatenate([np.zeros(0, np.uint64), *(samples.digests for samples in tars)]))
    suspects = set(digests[1:][digests[1:] == digests[:-1]].tolist())
    found: dict[str, int] = {}  # two keys may share a digest, so the keys themselves are counted
    for samples in tars if suspects else ():
        for key, number in zip(samples.keys, samples.digests.tolist(), strict=True):
            if number in suspects:
                found[key] = found.get(key, 0) + 1
    return [shown(key) for key, times in found.items() if times > 1]
