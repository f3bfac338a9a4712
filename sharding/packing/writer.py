"""One shard: a WebDataset tar and its index. The same bytes on every machine."""

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tarn.sharding.archives.archive import DamagedMemberError
from tarn.sharding.format.archive import BLOCK, LONGEST_NAME, closing, entry
from tarn.sharding.format.manifest import RECORD, UNLABELLED, ShardInfo, index_bytes
from tarn.sharding.packing.content import oddity
from tarn.sharding.packing.files import SummedFile
from tarn.sharding.packing.inspection import ending
from tarn.sharding.packing.preparation import DamagedError, Preparation, Prepared, prepare
from tarn.sharding.packing.reading import Read, reading
from tarn.sharding.pillow import MOST_BYTES
from tarn.sharding.sources import Picture
from tarn.sharding.sources.place import ending_of, is_exact


@dataclass(frozen=True, slots=True)
class Task:
    """name: of the shard under the dataset's root; folder: where it is written for now; skip: leave pictures out that
    are no whole ones, in place of failing; expected: what has to come of it, where that is known."""

    name: str
    folder: Path
    pictures: Sequence[Picture]
    preparation: Preparation
    skip: bool = False
    expected: ShardInfo | None = None

    @property
    def bytes(self) -> int:
        """Of its pictures, at the source."""
        return sum(picture.size for picture in self.pictures)


@dataclass(frozen=True, slots=True)
class Damage:
    """What is wrong with a picture. lasting: with its bytes, so that it may be left out."""

    picture: Picture
    problem: str
    lasting: bool


@dataclass(frozen=True, slots=True)
class Written:
    """The shard as the manifest lists it; None where nothing is left of it, or a picture kept it from being written.

    damaged: unreadable pictures, in the order of the plan. The rest counts pictures by a word: left, not tiled, by
    reason; content, something else than the name says, or CMYK; baseline, made baseline JPEGs without loss, and
    normalised, by what they had been.
    """

    info: ShardInfo | None
    damaged: tuple[Damage, ...]
    left: Mapping[str, int]
    content: Mapping[str, int] = field(default_factory=dict)
    baseline: Mapping[str, int] = field(default_factory=dict)
    normalised: Mapping[str, int] = field(default_factory=dict)


def write_shard(task: Task, progress: Callable[[int, int], None]) -> Written:
    """Reads each picture once; tells progress in (pictures, bytes)."""
    records: list[tuple[int, int, int]] = []
    damaged: list[Damage] = []
    counts = {name: Counter[str]() for name in ("left", "content", "baseline", "normalised")}
    path = task.folder / task.name
    path.parent.mkdir(parents=True, exist_ok=True)
    position = 0
    with SummedFile(path) as file:
        for picture, read in reading(tuple(task.pictures)):
            suffix = ending_of(picture.place)
            try:
                prepared, odd, others = read_picture(picture, read, suffix, task.preparation)
                label, image = sample_pieces(picture, prepared.data, suffix, others)
            except DamagedError as error:
                damaged.append(Damage(picture, str(error), error.lasting))
                continue
            told = {"left": prepared.left, "baseline": prepared.baseline, "normalised": prepared.normalised}
            for name, word in {**told, "content": odd}.items():
                if word is not None:
                    counts[name][word] += 1
            file.write(label + image, alone=prepared.data)
            offset = position + sum(map(len, label)) + BLOCK
            records.append((offset, len(prepared.data), picture.label))
            position = offset - BLOCK + sum(map(len, image))
            progress(1, picture.size)
        end = closing(position)
        file.write([end])
    if not records or (damaged and not task.skip):
        path.unlink()
        return Written(None, tuple(damaged), **counts)
    described = [(*record, crc) for record, crc in zip(records, file.crcs, strict=True)]
    index = index_bytes(np.array(described, RECORD))
    path.with_suffix(".idx").write_bytes(index)
    index_sha256 = hashlib.sha256(index).hexdigest()
    size, sha256 = position + len(end), file.sha256.hexdigest()
    info = ShardInfo(task.name, len(records), size, sha256, index_sha256)
    return Written(info, tuple(damaged), **counts)


def read_picture(
    picture: Picture, read: Read, suffix: str, how: Preparation
) -> tuple[Prepared, str | None, Mapping[str, bytes]]:
    """And what is odd about it as it came, see content.py, and its members. suffix: of its name, with the dot.

    Raises DamagedError for one that cannot be read, or is not what was planned.
    """
    if is_exact(picture.place) and picture.size > MOST_BYTES:  # before it takes all the memory
        raise DamagedError(f"too large ({picture.size:,} bytes, {MOST_BYTES:,} at most)")
    try:
        data, others = read()
    except OSError as error:
        raise DamagedError(error.strerror or str(error), lasting=False) from error
    except DamagedMemberError as error:
        raise DamagedError(error.problem) from error
    if is_exact(picture.place) and len(data) != picture.size:
        raise DamagedError(f"changed while it was packed, from {picture.size} to {len(data)} bytes", lasting=False)
    return prepare(data, picture, how), oddity(data, suffix), others


def sample_pieces(
    picture: Picture, data: bytes, suffix: str, others: Mapping[str, bytes]
) -> tuple[list[bytes], list[bytes]]:
    """Of the tar: what holds the label, and all else beside the picture, and what holds the picture behind them. Raises
    DamagedError where it has a member that cannot be named in it."""
    kind = ending(data, suffix or ".bin")
    label = entry(f"{picture.key}.cls", str(picture.label).encode()) if picture.label != UNLABELLED else []
    if picture.beside is not None:
        label += entry(f"{picture.key}.json", picture.beside.json())
    for told, member in others.items():
        name = f"{picture.key}.{told}"
        if told == kind or len(name) > LONGEST_NAME or not name.isascii():
            why = "as its picture is" if told == kind else f"and names are of {LONGEST_NAME} letters of ASCII at most"
            raise DamagedError(f"a member of it would be called {name}, {why}: see --members", lasting=False)
        label += entry(name, member)
    return label, entry(f"{picture.key}.{kind}", data)
