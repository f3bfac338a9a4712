"""A folder and all below it, wherever it lies: which pictures are meant, and what is passed over, counted and named.

- Hidden files and folders are no part of a dataset: those that begin with a dot, and those that systems and NAS boxes
  put beside files of others.
- A link to a folder elsewhere is followed, as ImageFolder does, and once: a folder is not read again by another way.
  Links to a folder above, or to another one of the same split, whose pictures are read where they lie, are passed over.
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from tarn.sharding.archives.headers import shown
from tarn.sharding.errors import TarnError
from tarn.sharding.kinds import counted_kind
from tarn.sharding.sources.place import Place

PICTURES = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")  # ImageFolder's
MORE_PICTURES = (".gif", ".avif", ".jp2", ".j2k", ".mpo", ".jfif", ".jpe", ".pbm", ".pnm")  # Pillow reads them too
EXTENSIONS = PICTURES + MORE_PICTURES
SYSTEM = frozenset(
    ("__macosx", "@eadir", "#recycle", "#snapshot", "$recycle.bin", "system volume information", "lost+found")
)
SYSTEM_FILES = frozenset(("thumbs.db", "desktop.ini"))
SHOWN = 3
DEEPEST = 100  # folders below a split

Identity = tuple[int, int] | str


class FilePlace(Place, Protocol):
    """A place that knows how long it is."""

    def length(self) -> int:
        """Bytes of the picture's file. Raises OSError where it cannot be looked at."""
        ...


@dataclass(frozen=True, slots=True)
class Entry:
    """Of a folder. is_lost: a link that leads nowhere."""

    name: str
    is_folder: bool
    is_link: bool = False
    is_lost: bool = False


class Folder(Protocol):
    """On a disk or in an archive. str(folder): what people call it; name: the last part of that."""

    @property
    def name(self) -> str: ...

    def entries(self) -> list[Entry]:
        """Sorted by name. Raises TarnError where it cannot be listed."""
        ...

    def folder(self, name: str) -> "Folder":
        """One below it, which may not be there; name: with slashes where it lies deeper."""
        ...

    def is_there(self) -> bool: ...

    def place(self, name: str) -> FilePlace:
        """Of a file in it."""
        ...

    def read(self, name: str) -> bytes:
        """A small file in it. Raises OSError, TarnError."""
        ...

    def identity(self) -> Identity | None:
        """The same whatever way leads to it."""
        ...

    def around(self, home: set[Identity] | None = None) -> set[Identity]:
        """Identities of the folder and of all that hold it, by whatever way. home: the same of the folder above, where
        it is known, for who asks for a thousand classes."""
        ...

    def is_read_in(self, home: "Folder") -> bool:
        """Whether what it links to lies below home, in no hidden folder."""
        ...


@dataclass(frozen=True, slots=True)
class Found:
    """A picture's file. folder: below that of its split, empty for none; name: of the file itself."""

    folder: str
    name: str
    place: FilePlace

    @property
    def stem(self) -> str:
        return os.path.splitext(self.name)[0]  # noqa: PTH122  a million Path objects take half a gigabyte

    @property
    def suffix(self) -> str:
        """With its dot."""
        return os.path.splitext(self.name)[1]  # noqa: PTH122

    @property
    def above(self) -> str:
        """The name of the folder that it lies in."""
        return self.folder.rpartition("/")[2]


@dataclass(slots=True)
class PassedOver:
    """What is no part of a dataset, by kind, so that it is told in one line."""

    found: dict[str, list[str]] = field(default_factory=dict)

    def add(self, kind: str, name: str) -> None:
        self.found.setdefault(kind, []).append(name)

    def take(self, other: "PassedOver") -> None:
        for kind, names in other.found.items():
            self.found.setdefault(kind, []).extend(names)

    @property
    def counts(self) -> Mapping[str, int]:
        return {kind: len(names) for kind, names in self.found.items()}

    def __str__(self) -> str:
        """`2 hidden folders (a, b); 12 files ending in .txt (c, d, e, ...)`; empty where nothing was."""
        return "; ".join(
            f"{counted_kind(len(names), shown(kind))} ({some(names)})" for kind, names in sorted(self.found.items())
        )


def some(names: list[str]) -> str:
    return ", ".join(map(shown, sorted(names)[:SHOWN])) + (", ..." if len(names) > SHOWN else "")


def is_hidden(name: str) -> bool:
    return name.startswith(".") or name.lower() in SYSTEM


def pictures_below(home: Folder, name: str, passed: PassedOver, above: set[Identity] | None = None) -> list[Found]:
    """Every file with a picture's ending in a folder of a split's home ("": in all of it), in subfolders too. above:
    home.around(), where it is known. Raises TarnError naming a folder that cannot be listed."""
    folder = home.folder(name) if name else home
    around = folder.around(above)
    return list(walk(folder, name, set(around), around, passed, home))


def walk(
    folder: Folder, path: str, seen: set[Identity], above: set[Identity], passed: PassedOver, home: Folder
) -> Iterator[Found]:
    """path: of the folder below home. seen: folders that were read or are being read. above: those that hold this
    one. Raises TarnError beyond a depth that nobody gives a dataset."""
    if path.count("/") >= DEEPEST:
        raise TarnError(f"{folder} lies more than {DEEPEST} folders deep: move its pictures up, or leave it out.")
    entries = folder.entries()
    for entry in entries:
        if not entry.is_folder and is_picture(entry, folder, passed):
            yield Found(path, entry.name, folder.place(entry.name))
    for entry in entries:
        if not entry.is_folder:
            continue
        inner = folder.folder(entry.name)
        here = inner.identity()
        if is_hidden(entry.name):
            passed.add("hidden folders", str(inner))
        elif here in above:
            passed.add("links to a folder above", str(inner))
        elif here in seen or (entry.is_link and inner.is_read_in(home)):
            passed.add("links to a folder that is read elsewhere", str(inner))
        else:
            known = {here} if here is not None else set()
            seen |= known
            yield from walk(inner, f"{path}/{entry.name}" if path else entry.name, seen, above | known, passed, home)


def is_picture(entry: Entry, folder: Folder, passed: PassedOver) -> bool:
    """By its name; what is none is passed over. A link that leads nowhere may have been one, and is told when it is
    looked at."""
    ending = os.path.splitext(entry.name)[1].lower()  # noqa: PTH122  a million Path objects take seconds
    if entry.name.startswith(".") or entry.name.lower() in SYSTEM_FILES:
        passed.add("hidden files", f"{folder}/{entry.name}")
    elif ending in EXTENSIONS or entry.is_lost:
        return True
    else:
        passed.add(f"files ending in {ending}" if ending else "files without an ending", f"{folder}/{entry.name}")
    return False


def folders_in(home: Folder, passed: PassedOver) -> list[str]:
    """Names of the folders directly in a folder, sorted; hidden ones are passed over."""
    found = []
    for entry in home.entries():
        if entry.is_folder:
            if is_hidden(entry.name):
                passed.add("hidden folders", f"{home}/{entry.name}")
            else:
                found.append(entry.name)
    return found
