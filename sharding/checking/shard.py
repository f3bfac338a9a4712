"""One shard: its tar read once as a stream, its index, and what both say of each other.

At most one picture is held in memory, and a few numbers for each sample.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tarn.sharding import storage
from tarn.sharding.archives.headers import DamageError, shown
from tarn.sharding.archives.tar import Member, Stream, walk
from tarn.sharding.checking.watching import watched
from tarn.sharding.errors import TarnError
from tarn.sharding.foreign.check import check_tar
from tarn.sharding.foreign.labels import Label
from tarn.sharding.foreign.layout import Tar, size_of
from tarn.sharding.foreign.reading import Reading, parted
from tarn.sharding.foreign.samples import Samples, digest
from tarn.sharding.foreign.scan import pieces, reader_of
from tarn.sharding.format.manifest import UNLABELLED, ShardInfo, parse_index
from tarn.sharding.packing.inspection import damage

LONGEST_LABEL = 64  # bytes of a .cls
BESIDE = ("json",)  # what a sample may hold besides its label and its picture
Advance = Callable[[int], Any]


@dataclass(frozen=True, slots=True)
class Task:
    """A shard of a split to be read. root: of the indexes; tars: of the tars; classes: their number.

    reading, numbers: of tars that somebody else packed, how they were read and the number of each label's class.
    decode: every picture too. kept: endings of members that went along from where it was packed.
    """

    root: str
    tars: str
    split: str
    shard: ShardInfo
    classes: int
    decode: bool
    reading: Reading | None = None
    numbers: Mapping[Label, int] | None = None
    kept: tuple[str, ...] = ()

    @property
    def url(self) -> str:
        return storage.join(self.tars, self.shard.name)

    @property
    def index_url(self) -> str:
        return storage.join(self.root, self.shard.index_name)


@dataclass(frozen=True, slots=True)
class Checked:
    """problems: a sentence each. digests: eight bytes of each key, in the order of the index, None where that is not
    known. samples: of a sound tar that somebody else packed."""

    problems: tuple[str, ...]
    digests: NDArray[np.uint64] | None = None
    samples: Samples | None = None


@dataclass(slots=True)
class Found:
    """A sample as the tar holds it. places: offset, size and CRC-32 of its picture or pictures."""

    key: str
    label: str
    places: list[tuple[int, int, int]]


class Looker:
    """Decodes pictures that go by."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.problems: list[str] = []

    def look(self, row: int, picture: bytes) -> None:
        if (problem := damage(picture, "all")) is not None:
            self.problems.append(f"{self.url}: picture {row} cannot be decoded ({problem}): pack it again without it.")


def check(task: Task, advance: Advance) -> Checked:
    """advance: told of bytes as they are read. What is wrong is told in the order of what hides what."""
    try:
        size, index = size_of(task.url), storage.read_bytes(task.index_url)
        if size != task.shard.bytes and task.reading is None:
            return Checked((f"{task.url} has {size:,} bytes, the manifest says {task.shard.bytes:,}.",))
        records = whole(index, task)
        looker = Looker(task.url)
        stream = pieces(task.tars, Tar(task.shard.name, size, task.shard.samples), reader_of(task.tars))
        if task.decode and records is not None:
            stream = watched(stream, records, looker.look)
        checked = check_ours(task, stream, records, advance) if task.reading is None else theirs(task, stream, advance)
    except TarnError as error:
        return Checked((str(error),))
    return (
        Checked((*checked.problems, *looker.problems), checked.digests, checked.samples) if usable(checked) else checked
    )


def usable(checked: Checked) -> bool:
    """Whether the index is that of the tar, so that it tells pictures."""
    return checked.digests is not None


def whole(index: bytes, task: Task) -> NDArray[np.void] | None:
    """The records; None where they are not those of the manifest."""
    return parse_index(index, task.index_url) if hashlib.sha256(index).hexdigest() == task.shard.index_sha256 else None


def theirs(task: Task, stream: Iterator[bytes], advance: Advance) -> Checked:
    assert task.reading is not None
    assert task.numbers is not None
    problem, samples = check_tar(task.root, task.tars, task.shard, task.reading, task.numbers, stream, advance)
    return Checked((problem,)) if samples is None else Checked((), samples.digests, samples)


def check_ours(task: Task, raw: Iterator[bytes], records: NDArray[np.void] | None, advance: Advance) -> Checked:
    """Digests first; only a shard whose bytes are right is worth a look inside."""

    def counted() -> Iterator[bytes]:
        for piece in raw:
            advance(len(piece))
            yield piece

    stream, found, broken = Stream(counted()), list[Found](), ""
    pictures = set(records["offset"].tolist()) if records is not None else set[int]()
    try:
        for member in walk(stream, lambda name, size: name.endswith(".cls") and size <= LONGEST_LABEL):
            add(found, member, (*BESIDE, *task.kept) if member.offset not in pictures else ())
    except DamageError as error:
        broken = str(error)
        drain(stream)
    if stream.digest.hexdigest() != task.shard.sha256:
        return Checked((f"{task.url} does not have the SHA-256 of the manifest: copy or pack it again.",))
    if records is None:
        return Checked((f"{task.index_url} does not have the SHA-256 of the manifest: copy or pack it again.",))
    if broken:
        return Checked((f"{task.url}: {broken}.",))
    if not len(found) == len(records) == task.shard.samples:
        told = f"{len(found)} samples, its index {len(records)}, the manifest {task.shard.samples}"
        return Checked((f"{task.url} has {told}.",))
    digests = np.array([digest(sample.key) for sample in found], np.uint64)
    return Checked(tuple(compare(task, found, records)), digests)


def add(found: list[Found], member: Member, beside: tuple[str, ...]) -> None:
    """Members of one key that follow each other are a sample. beside: endings of what is no picture."""
    key, ending = parted(member.name)
    if not found or found[-1].key != key:
        found.append(Found(key, "", []))
    if ending == "cls":
        found[-1].label = (member.data or b"").decode("ascii", "replace")
    elif ending not in beside:
        found[-1].places.append((member.offset, member.size, member.crc32))


def drain(stream: Stream) -> None:
    """To the end, for the digest."""
    try:
        while True:
            stream.fetch()
            stream.advance(len(stream.rest))
    except EOFError:
        return


def compare(task: Task, found: list[Found], records: NDArray[np.void]) -> Iterator[str]:
    """The tar as any reader finds it, against the index."""
    for sample, (offset, size, label, crc32) in zip(found, records.tolist(), strict=True):
        key = shown(sample.key)
        told = str(label) if label != UNLABELLED or task.classes else ""
        if sample.label != told or not UNLABELLED <= label < task.classes:
            yield f"{task.url}: {key} has the label {sample.label!r} in the tar and {label} in the index."
        places = [place[:2] for place in sample.places]
        if places != [(offset, size)]:
            yield f"{task.url}: {key} lies at {places}, the index says {offset}, {size}."
        elif sample.places[0][2] != crc32:
            yield f"{task.url}: {key} does not have the CRC-32 of the index: pack it again."
