"""Pictures by name, read when it is their turn, perhaps in another process."""

from dataclasses import dataclass
from pathlib import Path

from tarn.inference.given import read_file
from tarn.inference.limits import check_size
from tarn.sharding import storage
from tarn.sharding.archives.jumps import TarMember
from tarn.sharding.errors import TarnError
from tarn.sharding.foreign.labels import Label
from tarn.sharding.sources.place import Place


@dataclass(frozen=True, slots=True)
class NamedPicture:
    """name: for the report. label: as its source tells it, a number, a wnid or a name; None where it does not."""

    name: str
    place: Place
    label: Label | None = None

    def load(self, most: int) -> bytes:
        """Raises TarnError, OSError, BrokenPictureError where it has more than so many bytes."""
        if isinstance(self.place, TarMember):
            check_size(self.place.size, most)
        if isinstance(self.place, OnDisk):
            return read_file(Path(self.place.path), most, self.place.is_named)
        return self.place.read()


@dataclass(frozen=True, slots=True)
class OnDisk:
    """is_named: by a user himself, where a pipe or a device is what he wants."""

    path: str
    is_named: bool = False

    def read(self) -> bytes:
        return Path(self.path).read_bytes()


@dataclass(frozen=True, slots=True)
class InStore:
    """Or at a web server: of a URL that the user named."""

    url: str

    def read(self) -> bytes:
        return storage.read_bytes(self.url)


@dataclass(frozen=True, slots=True)
class InHand:
    """Bytes that came by a pipe."""

    data: bytes

    def read(self) -> bytes:
        return self.data


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Stands for what a source should have had."""

    why: str

    def read(self) -> bytes:
        raise TarnError(self.why)
