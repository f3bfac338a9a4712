"""A file that lists classes, and by which names they are called."""

import re
from collections.abc import Sequence
from pathlib import Path

from tarn.sharding.errors import UsageError
from tarn.sharding.format.manifest import ClassInfo

WNID = re.compile(r"n\d{8}")


def read_classes(path: Path, word: str = "--classes") -> tuple[ClassInfo, ...]:
    """Lines of `wnid name, other name`, in their order, or of names alone. word: by which the file was given. Raises
    UsageError naming lines twice there.

    Where some line begins with a wnid, the first word is the class's own. Else a line is a name as a whole, for of
    "great white shark" "great" is none; an own word may then be told by a tab behind it.
    """
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{word}={path} cannot be read ({error}): give a file of lines `wnid name`.") from error
    separator = " " if any(WNID.fullmatch(line.strip().partition(" ")[0]) for line in lines) else "\t"
    infos: dict[str, ClassInfo] = {}
    for number, line in enumerate(lines, 1):
        wnid, _, name = line.strip().partition(separator)
        if wnid in infos:
            raise UsageError(f"{word}={path} lists {wnid} again in line {number}: give each class one line.")
        if wnid:
            infos[wnid] = ClassInfo(wnid, name.strip() or wnid)
    if not infos:
        raise UsageError(f"{word}={path} is empty: give a file of lines `wnid name`.")
    return tuple(infos.values())


def classes_called(classes: Sequence[ClassInfo]) -> dict[str, list[int]]:
    """Numbers of the classes that have a name: as own word, as the whole name, or as one of those between commas."""
    called: dict[str, list[int]] = {}
    for number, info in enumerate(classes):
        for name in {info.wnid, info.name, *map(str.strip, info.name.split(","))} - {""}:
            called.setdefault(name, []).append(number)
    return called
