"""interchange.json: which files for other libraries lie beside a dataset, and of which packing they are.

They are told apart from litter by it, renewed by it when the dataset is replaced, and removed by it.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from tarn.sharding import storage
from tarn.sharding.errors import TarnError
from tarn.sharding.format.manifest import Manifest

NAME = "interchange.json"
FORMAT, VERSION = "tarn-interchange", 1
DALI, INFO, CROISSANT, ENERGON = "dali-index", "info", "croissant", "energon"
KINDS = (DALI, INFO, CROISSANT, ENERGON)


@dataclass(frozen=True, slots=True)
class Described:
    """kinds: what was asked for. files: SHA-256 by name below the dataset; manifest: that of the manifest which they
    describe, empty while they are being written."""

    kinds: tuple[str, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    manifest: str = ""

    @classmethod
    def read(cls, root: str) -> "Described":
        """Nothing where there is none. Raises TarnError for what is no such list."""
        url = storage.join(root, NAME)
        if not storage.exists(url):
            return cls()
        try:
            told = json.loads(storage.read_bytes(url))
            if told["format"] != FORMAT or told["version"] != VERSION:
                raise ValueError(f"format {told['format']!r} version {told['version']!r}")
            files = {harmless(str(name)): str(digest) for name, digest in told["files"].items()}
            return cls(tuple(kind for kind in KINDS if kind in told["kinds"]), files, str(told["manifest"]))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise TarnError(f"{url} is no list of Tarn's ({error!r}): move it away, and describe again.") from error

    def to_json(self) -> bytes:
        told = {"format": FORMAT, "version": VERSION, "kinds": self.kinds, "files": self.files}
        return (json.dumps({**told, "manifest": self.manifest}, indent=1, sort_keys=True) + "\n").encode()

    def is_of(self, manifest: Manifest) -> bool:
        """Whether the files are those of this packing."""
        return self.manifest == digest_of(manifest)


def harmless(name: str) -> str:
    """Raises ValueError for a name that leads out of the dataset: what is listed may be removed."""
    if name.startswith("/") or "://" in name or ".." in name.split("/"):
        raise ValueError(f"{name!r} is no name below it")
    return name


def digest_of(manifest: Manifest) -> str:
    return hashlib.sha256(manifest.to_json().encode()).hexdigest()


def check_described(root: str, manifest: Manifest, deep: bool) -> Iterator[str]:
    """A sentence for each thing that is wrong with the files; deep: their digests too."""
    again = f"python -m tarn.sharding describe {root}"
    try:
        found = Described.read(root)
    except TarnError as error:
        yield str(error)
        return
    if found.kinds and not found.is_of(manifest):
        yield f"{storage.join(root, NAME)} lists files of another packing, for other libraries: renew them by {again}."
        return
    for name, digest in found.files.items():
        url = storage.join(root, name)
        try:
            if not storage.exists(url):
                yield f"{url} is not there, {NAME} lists it: renew it by {again}."
            elif deep and hashlib.sha256(storage.read_bytes(url)).hexdigest() != digest:
                yield f"{url} does not have the SHA-256 of {NAME}: renew it by {again}."
        except TarnError as error:
            yield str(error)
