"""manifest.json, the commit marker of a packed dataset, and the index that makes a tar random-access.

The manifest is written last: a folder without one is not a dataset. An index is a header of 16 bytes (magic, number of
samples) and one record of 20 bytes a sample, in tar order: where the picture's bytes lie in the tar, its label, and the
CRC-32 (as zlib's) of its bytes, for those who read it alone.
"""

import hashlib
import json
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tarn.sharding import storage
from tarn.sharding.errors import TarnError
from tarn.sharding.storage.clients import Client, build_client
from tarn.sharding.storage.persistence import Patience, RemoteError, patiently

FORMAT = "tarn-shards"
VERSION = 1
MAGIC = b"TARNIDX2"
HEADER = 16  # bytes of an index before its records
RECORD = np.dtype([("offset", "<u8"), ("size", "<u4"), ("label", "<i4"), ("crc32", "<u4")])


@dataclass(frozen=True)
class ShardInfo:
    """One tar of a split. name is relative to the tars' root, index_name to the manifest's folder; both are the same
    unless the manifest has a data_root. Sizes in bytes; digests are hex sha256."""

    name: str
    samples: int
    bytes: int
    sha256: str
    index_sha256: str

    @property
    def index_name(self) -> str:
        return self.name.removesuffix(".tar") + ".idx"

    @property
    def index_size(self) -> int:
        """Bytes of the index."""
        return HEADER + RECORD.itemsize * self.samples


@dataclass(frozen=True)
class Split:
    """The shards of one split, in order, and how they were packed."""

    shards: tuple[ShardInfo, ...]
    packed: dict[str, Any] = field(default_factory=dict)

    @property
    def samples(self) -> int:
        return sum(shard.samples for shard in self.shards)

    @property
    def bytes(self) -> int:
        return sum(shard.bytes for shard in self.shards)


@dataclass(frozen=True)
class ClassInfo:
    """A class: its folder name (a wnid in ImageNet) and its human name. Its index is its place in the list."""

    wnid: str
    name: str


@dataclass(frozen=True)
class Manifest:
    """What a packed dataset holds. data_root: URL of the tars' folder, None where they lie beside the manifest."""

    classes: tuple[ClassInfo, ...]
    splits: dict[str, Split]
    data_root: str | None = None

    def shards_root(self, root: str) -> str:
        """Where the tars lie, for a manifest at root; their indexes lie at root in any case."""
        return root if self.data_root is None else self.data_root

    def split(self, name: str) -> Split:
        """Raises TarnError where the dataset has no such split."""
        if name not in self.splits:
            raise TarnError(
                f"split {name!r} is not in this dataset: it has {', '.join(sorted(self.splits)) or 'none'}."
            )
        return self.splits[name]

    def fingerprint(self, name: str) -> str:
        """16 hex digits that change with any byte of the split's shards or with its classes."""
        told = [[shard.sha256 for shard in self.split(name).shards], [c.wnid for c in self.classes]]
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:16]

    def to_json(self) -> str:
        told = {"format": FORMAT, "version": VERSION} | asdict(self)
        if self.data_root is None:
            del told["data_root"]
        return json.dumps(told, indent=1, ensure_ascii=False, sort_keys=True) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes, where: str) -> "Manifest":
        """Raises TarnError, naming where, for anything that is not a manifest of this version."""
        try:
            told = json.loads(text)
            if told["format"] != FORMAT or told["version"] != VERSION:
                raise TarnError(
                    f"{where} has format {told['format']!r} version {told['version']!r}, this Tarn reads "
                    f"{FORMAT!r} version {VERSION}: pack the dataset again or update Tarn."
                )
            data_root = told.get("data_root")
            if not isinstance(data_root, str | None):
                raise TypeError(f"data_root is {data_root!r}")
            return cls(
                classes=tuple(ClassInfo(**c) for c in told["classes"]),
                splits={
                    name: Split(tuple(ShardInfo(**shard) for shard in split["shards"]), split["packed"])
                    for name, split in told["splits"].items()
                },
                data_root=data_root,
            )
        except (ValueError, KeyError, TypeError) as error:
            raise TarnError(f"{where} is not a Tarn manifest ({error!r}): pack the dataset again.") from error


def index_bytes(records: NDArray[np.void]) -> bytes:
    return MAGIC + len(records).to_bytes(8, "little") + records.astype(RECORD).tobytes()


def parse_index(raw: bytes, where: str) -> NDArray[np.void]:
    """Records of dtype RECORD, read-only. Raises TarnError, naming where, for anything else than a whole index."""
    if raw[:8] != MAGIC or len(raw) != HEADER + RECORD.itemsize * int.from_bytes(raw[8:16], "little"):
        raise TarnError(f"{where} is not a whole shard index ({len(raw)} bytes): pack the dataset again.")
    return np.frombuffer(raw, RECORD, offset=HEADER)


def read_manifest(root: str, options: storage.Options = storage.NONE, client: Client | None = None) -> Manifest:
    """Of the dataset at root, by a client of it where there is one. Raises TarnError where none lies there."""
    url = storage.join(root, "manifest.json")
    nothing = TarnError(f"{root} holds no packed dataset (no manifest.json): pack one by python -m tarn.sharding pack.")
    if storage.local_path(root) is not None:
        if not storage.exists(url):
            raise nothing
        return Manifest.from_json(storage.read_bytes(url), url)
    try:
        raw = patiently(lambda: (client or build_client(root, options)).whole("manifest.json"), url, Patience())
    except RemoteError as error:
        raise (nothing if error.missing else error) from error
    return Manifest.from_json(raw, url)
