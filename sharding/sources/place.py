"""Where a picture's bytes lie, in few words: a task of a thousand pictures is sent to another process."""

import os
import sys
from dataclasses import dataclass
from typing import Protocol

from tarn.sharding.storage.local import read_file, refuse_special


class Place(Protocol):
    """str(place): what people call it, such as the path of the file, or of the archive and then the name in it."""

    def read(self) -> bytes:
        """All of the picture's file. Raises OSError, or TarnError naming the place."""
        ...


@dataclass(frozen=True, slots=True)
class File:
    """On a disk. folder: with its slash, empty for the current one; the same object for all files in it, for the paths
    of a million files take a hundred megabytes."""

    folder: str
    name: str

    @classmethod
    def at(cls, path: str) -> "File":
        cut = path.rfind("/") + 1
        return cls(sys.intern(path[:cut]), path[cut:])

    @property
    def path(self) -> str:
        return self.folder + self.name

    def __str__(self) -> str:
        return self.folder + self.name

    def length(self) -> int:
        """Raises OSError, also where it is a pipe, a device or a folder."""
        told = os.stat(self.path)  # noqa: PTH116  of a million, Path objects take seconds
        refuse_special(told)
        return told.st_size

    def read(self) -> bytes:
        return read_file(self.path)


def is_far(place: Place) -> bool:
    """Whether to read it is a request over a network, so that many are better made at a time."""
    return getattr(place, "is_far", False) is True


def is_exact(place: Place) -> bool:
    """Whether its length is known before it is read; in a parquet that would be to read it all."""
    return getattr(place, "is_exact", True) is True


def block_of(place: Place) -> tuple[tuple[str, int], int] | None:
    """Of a place that can only be read together with others: the same for all of them, and where it lies among them."""
    found: tuple[tuple[str, int], int] | None = getattr(place, "block", None)
    return found


def ending_of(place: Place) -> str:
    """Of its name, with the dot, as it is written there; of what does not end in its name, such as a URL, the place's
    own word."""
    if isinstance(told := getattr(place, "ending", None), str):
        return told
    ending = os.path.splitext(str(place))[1]  # noqa: PTH122  of a million, Path objects take seconds
    return ending if ending != "." else ""


def below(place: Place, source: str) -> str:
    """Its name below the source, where it lies there."""
    return str(place).removeprefix(f"{source}/")
