"""manifest.json, the commit marker of a packed dataset, and the index that makes a tar random-access.

The manifest is written last: a folder without one is not a dataset. An index is a header of 16 bytes (magic, number of
samples) and one record of 20 bytes a sample, in tar order: where the picture's bytes lie in the tar, its label, and the
CRC-32 (as zlib's) of its bytes, for those who read it alone.
"""

import contextlib
import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tarn.sharding import storage
from tarn.sharding.errors import TarnError, UsageError
from tarn.sharding.format.holding import Hold, read_held
from tarn.sharding.format.wellformed import malformed
from tarn.sharding.storage.clients import Client, build_client
from tarn.sharding.storage.persistence import Patience, RemoteError, patiently
from tarn.sharding.storage.urls import kind_of

FORMAT = "tarn-shards"
VERSION = 1
PENDING = ".pending.json"  # the manifest of what is about to be published, see leftovers.py
INDEXED = "tars"  # the source in Split.packed of tars that somebody else packed
MAGIC = b"TARNIDX2"
HEADER = 16  # bytes of an index before its records
UNLABELLED = -1  # in place of a class's number, of samples that have none
RECORD = np.dtype([("offset", "<u8"), ("size", "<u4"), ("label", "<i4"), ("crc32", "<u4")])


@dataclass(frozen=True)
class ShardInfo:
    """One tar of a split. name is relative to the tars' root, index_name to the manifest's folder; both are the same
    unless the manifest has a data_root. Sizes in bytes; digests are hex sha256.

    index: the index's name where it is not the tar's with .idx: of tars that were indexed again.
    """

    name: str
    samples: int
    bytes: int
    sha256: str
    index_sha256: str
    index: str | None = None

    @property
    def index_name(self) -> str:
        return self.index if self.index is not None else index_name_of(self.name)

    @property
    def index_size(self) -> int:
        """Bytes of the index."""
        return HEADER + RECORD.itemsize * self.samples


def index_name_of(tar: str) -> str:
    return tar.removesuffix(".tar") + ".idx"


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

    @property
    def indexed(self) -> bool:
        """Whether somebody else packed its tars."""
        return bool(self.packed.get("source") == INDEXED)

    @property
    def skipped(self) -> int:
        """Pictures of the source that were left out as unreadable."""
        return int(self.packed.get("skipped", {}).get("pictures", 0))

    @property
    def report(self) -> str | None:
        """The file that names them, below the manifest's folder."""
        return str(self.packed["skipped"]["report"]) if self.skipped else None


@dataclass(frozen=True)
class ClassInfo:
    """A class: its folder name (a wnid in ImageNet) and its human name. Its index is its place in the list."""

    wnid: str
    name: str


def are_numbered_alike(ours: Sequence[ClassInfo], theirs: Sequence[ClassInfo]) -> bool:
    """Whether their numbers mean the same classes, however people call these."""
    return [info.wnid for info in ours] == [info.wnid for info in theirs]


@dataclass(frozen=True)
class Manifest:
    """What a packed dataset holds. data_root: URL of the tars' folder, None where they lie beside the manifest.

    held: a local dataset's files stay, whatever is packed in their place, for as long as the manifest that was read of
    them is referred to.
    """

    classes: tuple[ClassInfo, ...]
    splits: dict[str, Split]
    data_root: str | None = None
    held: Hold | None = field(default=None, compare=False, repr=False)

    def shards_root(self, root: str) -> str:
        """Where the tars lie, for a manifest at root; their indexes lie at root in any case."""
        return root if self.data_root is None else self.data_root

    def split(self, name: str) -> Split:
        """Raises UsageError where the dataset has no such split."""
        if name not in self.splits:
            raise UsageError(
                f"split {name!r} is not in this dataset, name one that is: {', '.join(sorted(self.splits)) or 'none'}."
            )
        return self.splits[name]

    def is_labelled(self, name: str) -> bool:
        """Whether a split's samples have labels of their own: not what was indexed or packed with --label none."""
        reading = self.split(name).packed.get("reading", {})
        return bool(self.classes and reading.get("label") != "none")

    def fingerprint(self, name: str) -> str:
        """16 hex digits that change with any byte of the split's shards, with its classes, and with what was chosen as
        picture and label of somebody else's."""
        told: list[Any] = [[shard.sha256 for shard in self.split(name).shards], [c.wnid for c in self.classes]]
        if "reading" in self.split(name).packed:
            told.append(self.split(name).packed["reading"])
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:16]

    def to_json(self) -> str:
        told: dict[str, Any] = {"format": FORMAT, "version": VERSION} | asdict(replace(self, held=None))
        del told["held"]
        if self.data_root is None:
            del told["data_root"]
        for shard in (shard for split in told["splits"].values() for shard in split["shards"]):
            if shard["index"] is None:
                del shard["index"]
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
            if wrong := next(malformed(told), None):
                raise ValueError(wrong)
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
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise TarnError(f"{where} is not a Tarn manifest ({error!r}): pack the dataset again.") from error


def index_bytes(records: NDArray[np.void]) -> bytes:
    return MAGIC + len(records).to_bytes(8, "little") + records.astype(RECORD).tobytes()


def parse_index(raw: bytes, where: str) -> NDArray[np.void]:
    """Records of dtype RECORD, read-only. Raises TarnError, naming where, for anything else than a whole index."""
    if raw[:8] != MAGIC or len(raw) != HEADER + RECORD.itemsize * int.from_bytes(raw[8:16], "little"):
        raise TarnError(f"{where} is not a whole shard index ({len(raw)} bytes): pack the dataset again.")
    return np.frombuffer(raw, RECORD, offset=HEADER)


class MissingManifestError(TarnError):
    """No packed dataset lies there."""


def read_manifest(
    root: str | os.PathLike[str],
    options: storage.Options = storage.NONE,
    client: Client | None = None,
    hold: bool = True,
) -> Manifest:
    """Of the dataset at root, by a client of it where there is one. hold: a local one's files, see Manifest. Raises
    MissingManifestError where none lies there, TarnError for what cannot be read."""
    root = os.fspath(root)
    url = storage.join(root, "manifest.json")
    if (path := storage.local_path(url)) is not None:
        try:
            raw, held = read_held(path)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise missing_manifest(root) from error
        except OSError as error:
            raise storage.unreadable(url, error) from error
        manifest = Manifest.from_json(raw, url)
        return replace(manifest, held=held) if hold else manifest
    try:
        raw = patiently(lambda: (client or build_client(root, options)).whole("manifest.json"), url, Patience())
    except RemoteError as error:
        raise (missing_manifest(root, options) if error.missing else error) from error
    return Manifest.from_json(raw, url)


def folder_of_tars(url: str) -> str:
    """What to give in place of tars that somebody named: the dataset that they are of, or their folder, indexed."""
    folder = url.rpartition("/")[0] or "."
    for place in (folder, folder.rpartition("/")[0] or "."):
        path = storage.local_path(storage.join(place, "manifest.json"))
        if path is not None and path.exists():
            return f"give {place}"
    return f"give {folder}, indexed once by python -m tarn.sharding index {folder}"


def missing_manifest(root: str, options: storage.Options = storage.NONE) -> MissingManifestError:
    """What is said of a folder without one, by what lies there."""
    if root.endswith(".tar") or any(sign in root for sign in "*{"):
        return MissingManifestError(f"{root} names tars, and a dataset is a folder of them: {folder_of_tars(root)}.")
    told, path = f"{root} holds no packed dataset (no manifest.json)", storage.local_path(root)
    pack, index = "pack one by python -m tarn.sharding pack", f"by python -m tarn.sharding index {root}"
    with contextlib.suppress(TarnError):
        if kind_of(root) != "http" and storage.exists(storage.join(root, PENDING), options):
            return MissingManifestError(
                f"{told}, only what a packing or indexing left that did not come to its end: start it again, by the "
                "same command, which goes on with it."
            )
    if path is None:
        return MissingManifestError(f"{told}: {pack}, or index the tars that lie there {index}.")
    tars = sorted(str(tar.relative_to(path)) for pattern in ("*.tar", "*/*.tar") for tar in path.glob(pattern))
    if tars:
        return MissingManifestError(f"{told}, but {len(tars)} tars such as {tars[0]}: index them {index}.")
    return MissingManifestError(f"{told}: {pack}.")
