"""Folders of a disk."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from tarn.sharding.errors import TarnError
from tarn.sharding.sources.place import File
from tarn.sharding.sources.tree import Entry, Folder, Identity, PassedOver, is_hidden, pictures_below
from tarn.sharding.storage.local import read_file


@dataclass(frozen=True, slots=True)
class DiskFolder:
    path: Path

    def __str__(self) -> str:
        return str(self.path)

    @property
    def name(self) -> str:
        return self.path.name

    def entries(self) -> list[Entry]:
        try:
            with os.scandir(self.path) as entries:
                return sorted(map(entry_of, entries), key=lambda entry: entry.name)
        except OSError as error:
            raise unlisted(self.path, error) from error

    def folder(self, name: str) -> "DiskFolder":
        return DiskFolder(self.path / name)

    def is_there(self) -> bool:
        """Raises TarnError where nobody may look."""
        try:
            return self.path.is_dir()
        except OSError as error:
            raise unlisted(self.path, error) from error

    def place(self, name: str) -> File:
        return File(sys.intern(f"{self.path}/"), name)

    def read(self, name: str) -> bytes:
        return read_file(self.path / name)

    def identity(self) -> Identity | None:
        """Device and inode, the real path where a file system has none."""
        return identity(self.path)

    def around(self, home: set[Identity] | None = None) -> set[Identity]:
        if home is not None and not self.path.is_symlink():
            here = self.identity()
            return home if here is None else {*home, here}
        paths = (self.path, *self.path.absolute().parents, *self.path.resolve().parents)
        return {found for path in paths if (found := identity(path))}

    def is_read_in(self, home: Folder) -> bool:
        target, root = self.path.resolve(), Path(str(home)).resolve()
        return target.is_relative_to(root) and not any(map(is_hidden, target.relative_to(root).parts))


def unlisted(path: Path, error: OSError) -> TarnError:
    return TarnError(f"{path} cannot be listed ({error.strerror}): check the disk and its permissions.")


def entry_of(entry: "os.DirEntry[str]") -> Entry:
    is_link = entry.is_symlink()
    try:
        is_folder = entry.is_dir()
        if is_link and not is_folder:
            entry.stat()
    except OSError:  # a link that leads to itself, or nowhere
        return Entry(entry.name, False, is_link, is_lost=is_link)
    return Entry(entry.name, is_folder, is_link)


def identity(path: Path) -> Identity | None:
    try:
        told = path.stat()
    except OSError:
        return None
    return (told.st_dev, told.st_ino) if told.st_ino else os.path.realpath(path)


def pictures_in(folder: Path) -> list[Path]:
    """Every file below a folder with a picture's ending. Raises TarnError naming a folder that cannot be listed."""
    return [folder / found.folder / found.name for found in pictures_below(DiskFolder(folder), "", PassedOver())]
