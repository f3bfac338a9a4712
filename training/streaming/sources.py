"""Where a worker gets pictures' bytes: shards on local disks, cached ones, or ranges of remote ones."""

import hashlib
import os
import weakref
from collections import Counter, OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tarn.sharding import storage
from tarn.sharding.errors import TarnError
from tarn.sharding.format.archive import padded
from tarn.sharding.format.manifest import ShardInfo, parse_index

OPEN_FILES = 128
HEADER = 512  # bytes of a tar header: it stands right before a member's bytes

Place = tuple[int, int]  # shard, place in it
Extent = tuple[int, int]  # first byte, and the one behind the last


@dataclass(frozen=True, slots=True)
class Sample:
    """raw: the picture's tar header and its bytes, or all of the sample's members, with some of its neighbours', from
    byte `start` of the tar on. begin, end: of the picture in it; end None: that of raw."""

    raw: bytes
    label: int
    begin: int = HEADER
    end: int | None = None
    start: int = 0

    @property
    def picture(self) -> memoryview:
        return memoryview(self.raw)[self.begin : self.end]

    @property
    def key(self) -> str:
        """The member's name up to its first dot (POSIX.1-1988 ustar: name at 0, prefix at 345).

        Of foreign tars the header may hold the first 100 characters only, or `?` for what is not ASCII.
        """
        header = self.raw[self.begin - HEADER : self.begin]
        name, prefix = (header[a:b].split(b"\0")[0].decode("utf-8", "replace") for a, b in ((0, 100), (345, 500)))
        folder, slash, base = name.rpartition("/")
        is_ustar = header[257:263] == b"ustar\0"  # GNU's own headers keep other things behind 345
        return f"{prefix + '/' if prefix and is_ustar else ''}{folder}{slash}{base.split('.')[0]}"


@dataclass(frozen=True, slots=True)
class Opening:
    """What was read ahead. places: of a batch's rows; indexes: by shard; pieces: of a place that was missing, the
    bytes of its extent."""

    places: tuple[Place, ...]
    indexes: dict[int, NDArray[np.void]]
    pieces: dict[Place, bytes]

    def part(self, first: int, end: int) -> "Opening":
        """Of those rows alone."""
        rows = self.places[first:end]
        shards = {shard for shard, _ in rows}
        return Opening(
            rows,
            {shard: index for shard, index in self.indexes.items() if shard in shards},
            {place: self.pieces[place] for place in rows if place in self.pieces},
        )


class Source:
    """Samples of one split. root: where the indexes lie; tars: where the shards do.

    counters: what happened on the way (see storage/persistence.py). whole: samples come with all of their members.
    """

    whole = False

    def __init__(self, root: str, tars: str, shards: tuple[ShardInfo, ...]) -> None:
        self.root, self.tars, self.shards = root, tars, shards
        self.counters: Counter[str] = Counter()
        self.indexes: dict[int, NDArray[np.void]] = {}

    def read(self, places: Sequence[Place]) -> list[Sample]:
        """In the order of the places, as many at once as may be. Raises TarnError naming the shard."""
        raise NotImplementedError

    def take_in(self, opening: Opening) -> None:
        """What was read ahead for this source."""
        raise NotImplementedError

    def load_indexes(self, shards: set[int]) -> None:
        """Into `indexes`, all at once. Raises TarnError."""
        raise NotImplementedError

    def extent(self, shard: int, place: int) -> Extent:
        """Bytes of the tar that are read for a sample. Its members lie one behind the other, so all of them are between
        the picture before its own and the one behind."""
        records = self.indexes[shard]
        offset, size, *_ = records[place].item()
        if not self.whole:
            return offset - HEADER, offset + size
        before = records[place - 1].item() if place else (0, 0)
        behind = records[place + 1].item()[0] if place + 1 < len(records) else self.shards[shard].bytes
        return before[0] + padded(before[1]), behind

    def name(self, shard: int) -> str:
        """The shard's name below the tars' root."""
        return self.shards[shard].name

    def url(self, shard: int) -> str:
        return storage.join(self.tars, self.shards[shard].name)


class OpenFiles:
    """Descriptors by path, the least recently used one being closed beyond OPEN_FILES, and all when nobody has them any
    more."""

    def __init__(self) -> None:
        self.descriptors: OrderedDict[Path, int] = OrderedDict()
        weakref.finalize(self, close_all, self.descriptors)

    def descriptor(self, path: Path) -> int:
        """Raises OSError."""
        if path in self.descriptors:
            self.descriptors.move_to_end(path)
            return self.descriptors[path]
        self.descriptors[path] = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        if len(self.descriptors) > OPEN_FILES:
            os.close(self.descriptors.popitem(last=False)[1])
        return self.descriptors[path]

    def forget(self, path: Path) -> None:
        """Closes the file; whoever asks for the path next gets what has the name then."""
        os.close(self.descriptors.pop(path))


def close_all(descriptors: OrderedDict[Path, int]) -> None:
    while descriptors:
        os.close(descriptors.popitem()[1])


class LocalSource(Source):
    """Shards on this host's disks, read in place."""

    def __init__(
        self, root: str, tars: str, shards: tuple[ShardInfo, ...], options: storage.Options = storage.NONE
    ) -> None:
        super().__init__(root, tars, shards)
        self.files, self.options = OpenFiles(), options

    def read(self, places: Sequence[Place]) -> list[Sample]:
        return [self.sample(shard, place) for shard, place in places]

    def load_indexes(self, shards: set[int]) -> None:
        for shard in shards:
            self.index(shard)

    def sample(self, shard: int, place: int) -> Sample:
        offset, size, label, _ = self.index(shard)[place].item()
        path = storage.local_path(storage.join(self.tars, self.shards[shard].name))
        assert path is not None
        start, end = self.extent(shard, place) if self.whole else (offset - HEADER, offset + size)
        try:
            raw = os.pread(self.files.descriptor(path), end - start, start)
        except OSError as error:
            raise TarnError(f"{path} cannot be read ({error.strerror}): copy or pack the dataset again.") from error
        if len(raw) != end - start:
            raise TarnError(
                f"{path} has {path.stat().st_size} bytes, its index promises {end}: "
                "the shard was cut short, copy or pack it again."
            )
        return Sample(raw, label, offset - start, offset - start + size, start) if self.whole else Sample(raw, label)

    def index(self, shard: int) -> NDArray[np.void]:
        if shard not in self.indexes:
            url = storage.join(self.root, self.shards[shard].index_name)
            raw = storage.read_bytes(url, self.options)
            if hashlib.sha256(raw).hexdigest() != self.shards[shard].index_sha256:
                raise TarnError(
                    f"{url} does not have the SHA-256 of the manifest that was read: the dataset was replaced "
                    "meanwhile, or copied in part; verify it by python -m tarn.sharding verify, and start again."
                )
            self.indexes[shard] = checked_index(raw, url, self.shards[shard])
        return self.indexes[shard]


def checked_index(raw: bytes, url: str, info: ShardInfo) -> NDArray[np.void]:
    records = parse_index(raw, url)
    if len(records) != info.samples:
        raise TarnError(f"{url} lists {len(records)} samples, the manifest {info.samples}: pack the dataset again.")
    return records
