"""The folders that the names of an archive's files draw."""

import errno
import os
from collections.abc import Iterable
from dataclasses import dataclass, field

from tarn.sharding.sources.tree import DEEPEST, Entry, FilePlace, Folder, Identity

LONGEST = 4096  # characters of a path


@dataclass(slots=True)
class ListedFolder:
    """title: what people call it, such as the archive's path and then the folder in it."""

    title: str
    folders: dict[str, "ListedFolder"] = field(default_factory=dict)
    files: dict[str, FilePlace] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.title

    @property
    def name(self) -> str:
        return self.title.rpartition("/")[2]

    def add(self, path: str, place: FilePlace) -> bool:
        """path: from here on, with slashes, as it is after `parts`. False where that name is taken."""
        *above, name = path.split("/")
        folder = self.make(above)
        if name in folder.files:
            return False
        folder.files[name] = place
        return True

    def make(self, path: Iterable[str]) -> "ListedFolder":
        """The folder of that path, made where it is not there."""
        here = self
        for name in path:
            if name not in here.folders:
                here.folders[name] = ListedFolder(f"{here.title}/{name}")
            here = here.folders[name]
        return here

    def find(self, path: str) -> "ListedFolder | None":
        here: ListedFolder | None = self
        for name in path.split("/"):
            here = here.folders.get(name) if here is not None else None
        return here

    def entries(self) -> list[Entry]:
        found = [Entry(name, True) for name in self.folders] + [Entry(name, False) for name in self.files]
        return sorted(found, key=lambda entry: entry.name)

    def folder(self, name: str) -> "ListedFolder":
        return self.find(name) or ListedFolder(f"{self.title}/{name}")

    def is_there(self) -> bool:
        return bool(self.folders or self.files)

    def place(self, name: str) -> FilePlace:
        return self.files[name]

    def read(self, name: str) -> bytes:
        if name not in self.files:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), f"{self.title}/{name}")
        return self.files[name].read()

    def identity(self) -> Identity:
        return self.title

    def around(self, home: set[Identity] | None = None) -> set[Identity]:
        return {self.title}

    def is_read_in(self, home: Folder) -> bool:
        return False  # an archive's links are passed over


def is_safe(path: str) -> bool:
    """Whether a name in an archive leads nowhere but below it: no absolute one, no drive, no `..`, nothing that is no
    name, nor longer or deeper than a system's names."""
    parts = path.split("/")
    if len(path) > LONGEST or len(parts) > DEEPEST:
        return False
    return not ({"", ".", ".."} & set(parts) or "\\" in path or "\0" in path or parts[0].endswith(":"))
