"""What one shard of a dataset with a manifest holds: by its index, and the headers between its pictures."""

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tarn.sharding import storage
from tarn.sharding.archives.archive import Archive
from tarn.sharding.archives.headers import shown
from tarn.sharding.errors import TarnError
from tarn.sharding.foreign.layout import size_of
from tarn.sharding.foreign.reading import Reading, parted
from tarn.sharding.foreign.samples import LABEL
from tarn.sharding.format.manifest import UNLABELLED, ShardInfo, parse_index
from tarn.sharding.looking.members import Part, samples_of
from tarn.sharding.looking.windows import Windows
from tarn.sharding.resharding.keys import Found
from tarn.sharding.resharding.others import Keep, Others
from tarn.sharding.resharding.place import SummedMember
from tarn.sharding.sources.beside import Beside

JSON = "json"


class NotToldError(Exception):
    """What of a shard is not as its manifest says: kind, of many together, and which."""

    def __init__(self, kind: str, which: str) -> None:
        super().__init__(kind, which)
        self.kind, self.which = kind, which


@dataclass(frozen=True, slots=True)
class Looked:
    """beside: how many members of each ending are neither picture nor label."""

    found: tuple[Found, ...]
    beside: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Shard:
    """root: of its index; windows: of its tar; classes: their number; reading: of one that somebody else packed, which
    is indexed; keep: which members go along, None where all that a packing here made of them is a .json."""

    root: str
    windows: Windows
    info: ShardInfo
    classes: int
    reading: Reading
    keep: Keep | None

    def look(self) -> Looked:
        """Raises NotToldError; TarnError where the tar cannot be read."""
        archive, records = self.archive(), self.records()
        places: dict[int, tuple[int, int, int, int]] = dict(
            zip(records["offset"].tolist(), records.tolist(), strict=True)
        )
        beside, found = Counter[str](), list[Found]()
        for key, parts in samples_of(self.windows, self.info, records):
            pictures = [places.pop(part.offset) for part in parts if part.offset in places]
            taken = {offset for offset, *_ in pictures}
            rest = {parted(part.name)[1]: part for part in parts if part.offset not in taken}
            told = self.told(key, rest) if self.keep is None else None
            endings = set(rest) - {LABEL if self.reading.tells_label(LABEL) else ""} if told is None else set[str]()
            beside.update(endings)
            for offset, size, label, crc32 in pictures:
                name = next(part.name for part in parts if part.offset == offset)
                span = parts[0].header, parts[-1].end
                others = Others.around(archive, self.keep, span, offset, size) if self.keep and endings else None
                place = SummedMember(archive, name, offset, size, crc32)
                found.append(Found(key.removeprefix("./"), self.info.name, place, label, told, others))
        if places:
            raise NotToldError(
                "indexes that do not fit their tars", f"{self.info.index_name}: {len(places):,} pictures"
            )
        return Looked(tuple(found), beside)

    def told(self, key: str, members: Mapping[str, Part]) -> Beside | None:
        """By its .json. Raises NotToldError."""
        if JSON not in members:
            return None
        try:
            return Beside.of(bytes(members[JSON].data))
        except ValueError as error:
            kind = "samples whose .json no packing here has written"
            raise NotToldError(kind, f"{self.info.name}: {shown(key)}") from error

    def archive(self) -> Archive:
        url = storage.join(self.windows.root, self.info.name)
        try:
            size = size_of(url)
        except TarnError as error:
            raise NotToldError("shards that cannot be looked at", str(error)) from error
        if size != self.info.bytes:
            told = f"{self.info.name}: {size:,} bytes, {self.info.bytes:,} there"
            raise NotToldError("shards of another size than the manifest's", told)
        return Archive(url)

    def records(self) -> NDArray[np.void]:
        """Of dtype RECORD."""
        url = storage.join(self.root, self.info.index_name)
        try:
            raw = storage.read_bytes(url)
        except TarnError as error:
            raise NotToldError("indexes that cannot be read", str(error)) from error
        if hashlib.sha256(raw).hexdigest() != self.info.index_sha256:
            raise NotToldError("indexes without the SHA-256 of the manifest", self.info.index_name)
        records = parse_index(raw, url)
        least = 0 if self.classes else UNLABELLED
        wrong = records["label"][(records["label"] < least) | (records["label"] >= self.classes)]
        if len(wrong):
            raise NotToldError("labels outside of the manifest's classes", f"{self.info.name}: {wrong[0]}")
        return records
