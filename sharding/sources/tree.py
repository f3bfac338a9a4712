"""A folder and all below it: which pictures are meant, and what is passed over, counted and named.

- Hidden files and folders are no part of a dataset: those that begin with a dot, and those that systems and NAS boxes
  put beside files of others.
- A link to a folder elsewhere is followed, as ImageFolder does, and once: a folder is not read again by another way.
  Links to a folder above, or to another one of the same split, whose pictures are read where they lie, are passed over.
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tarn.sharding.errors import TarnError

PICTURES = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")  # ImageFolder's
MORE_PICTURES = (".gif", ".avif", ".jp2", ".j2k", ".mpo", ".jfif", ".jpe", ".pbm", ".pnm")  # Pillow reads them too
EXTENSIONS = PICTURES + MORE_PICTURES
SYSTEM = frozenset(
    ("__macosx", "@eadir", "#recycle", "#snapshot", "$recycle.bin", "system volume information", "lost+found")
)
SYSTEM_FILES = frozenset(("thumbs.db", "desktop.ini"))
SHOWN = 3

Identity = tuple[int, int] | str


@dataclass(slots=True)
class PassedOver:
    """What is no part of a dataset, by kind, so that it is told in one line."""

    found: dict[str, list[str]] = field(default_factory=dict)

    def add(self, kind: str, name: str) -> None:
        self.found.setdefault(kind, []).append(name)

    @property
    def counts(self) -> Mapping[str, int]:
        return {kind: len(names) for kind, names in self.found.items()}

    def __str__(self) -> str:
        """`2 hidden folders (a, b); 12 files ending in .txt (c, d, e, ...)`; empty where nothing was."""
        return "; ".join(
            f"{len(names):,} {kind} ({', '.join(sorted(names)[:SHOWN])}{', ...' if len(names) > SHOWN else ''})"
            for kind, names in sorted(self.found.items())
        )


def is_hidden(name: str) -> bool:
    return name.startswith(".") or name.lower() in SYSTEM


def pictures_below(folder: Path, passed: PassedOver | None = None, home: Path | None = None) -> list[Path]:
    """Every file with a picture's ending, in subfolders too; home: of the whole split. Raises TarnError naming a folder
    that cannot be listed."""
    passed = passed if passed is not None else PassedOver()
    above = {found for path in (folder, *folder.absolute().parents, *folder.resolve().parents) if (found := of(path))}
    return list(walk(folder, set(above), above, passed, (home or folder).resolve()))


def walk(folder: Path, seen: set[Identity], above: set[Identity], passed: PassedOver, home: Path) -> Iterator[Path]:
    """seen: folders that were read or are being read. above: those that hold this one. home: real path."""
    folders: list[os.DirEntry[str]] = []
    for entry in entries_of(folder):
        if is_folder(entry):
            folders.append(entry)
        elif is_picture(entry, passed):
            yield Path(entry.path)
    for entry in folders:
        path = Path(entry.path)
        here = of(path)
        if is_hidden(entry.name):
            passed.add("hidden folders", entry.path)
        elif here in above:
            passed.add("links to a folder above", entry.path)
        elif here in seen or (entry.is_symlink() and is_read_there(path, home)):
            passed.add("links to a folder that is read elsewhere", entry.path)
        else:
            if here is not None:
                seen.add(here)
            yield from walk(path, seen, above | ({here} if here is not None else set()), passed, home)


def entries_of(folder: Path) -> list[os.DirEntry[str]]:
    """Sorted by name."""
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        raise TarnError(f"{folder} cannot be listed ({error.strerror}): check the disk and its permissions.") from error


def is_read_there(link: Path, home: Path) -> bool:
    """Whether a link leads to a folder of the same split, and no hidden one."""
    target = link.resolve()
    return target.is_relative_to(home) and not any(map(is_hidden, target.relative_to(home).parts))


def is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself
        return False


def leads_nowhere(entry: os.DirEntry[str]) -> bool:
    return entry.is_symlink() and not os.path.exists(entry.path)  # noqa: PTH110


def is_picture(entry: os.DirEntry[str], passed: PassedOver) -> bool:
    """By its name; what is none is passed over. A link that leads nowhere may have been one, and is told when it is
    looked at."""
    ending = os.path.splitext(entry.name)[1].lower()  # noqa: PTH122  a million Path objects take seconds
    if entry.name.startswith(".") or entry.name.lower() in SYSTEM_FILES:
        passed.add("hidden files", entry.path)
    elif ending in EXTENSIONS or leads_nowhere(entry):
        return True
    else:
        passed.add(f"files ending in {ending}" if ending else "files without an ending", entry.path)
    return False


def of(path: Path) -> Identity | None:
    """Of a folder, whatever way leads to it: device and inode, its real path where a file system has none."""
    try:
        told = path.stat()
    except OSError:
        return None
    return (told.st_dev, told.st_ino) if told.st_ino else os.path.realpath(path)


def folders_in(home: Path, passed: PassedOver) -> list[str]:
    """Names of the folders directly in a folder, sorted; hidden ones are passed over."""
    found = []
    for entry in entries_of(home):
        if is_folder(entry):
            if is_hidden(entry.name):
                passed.add("hidden folders", entry.path)
            else:
                found.append(entry.name)
    return found
