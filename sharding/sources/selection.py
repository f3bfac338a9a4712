"""A part of a source: some of its classes, some of its pictures. A pure function of keys, labels and the seed."""

import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tarn.sharding.errors import UsageError
from tarn.sharding.format.manifest import ClassInfo
from tarn.sharding.sources import Picture, Source

SHOWN = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What is packed of each split, in this order of choosing; None for all.

    classes: wnids (folder names); those chosen are numbered anew, from 0 in the source's order. subset: a fraction of
    at most 1.0, or a count of pictures, drawn by the seed; a larger one holds every smaller one. limit: so many
    pictures, the first ones of every class in turn, so that no class is left out before others have two.
    """

    classes: tuple[str, ...] | None = None
    subset: float | int | None = None
    limit: int | None = None

    def __post_init__(self) -> None:
        if self.subset is not None and not (
            0 < self.subset <= 1 if isinstance(self.subset, float) else self.subset > 0
        ):
            raise UsageError(f"--subset={self.subset} must be a fraction such as 0.1, at most 1.0, or a count above 0.")
        if self.limit is not None and self.limit < 1:
            raise UsageError(f"--limit={self.limit} must be at least 1.")

    def packed(self) -> dict[str, Any]:
        """What Split.packed tells of it: nothing where all is packed."""
        told = {name: getattr(self, name) for name in ("classes", "subset", "limit")}
        found = {name: list(it) if name == "classes" else it for name, it in told.items() if it is not None}
        return {"selection": found} if found else {}

    @classmethod
    def of(cls, packed: Mapping[str, Any]) -> "Selection":
        """By which a split was packed."""
        told = dict(packed.get("selection", {}))
        if "classes" in told:
            told["classes"] = tuple(told["classes"])
        return cls(**told)


def selection_of(classes: str | None, subset: str | None, limit: int | None) -> Selection:
    """As the words of a command say it. Raises UsageError."""
    return Selection(
        classes=parse_classes(classes) if classes is not None else None,
        subset=parse_subset(subset) if subset is not None else None,
        limit=limit,
    )


def parse_subset(text: str) -> float | int:
    """0.1 and 10% are fractions, 5000 is a count. Raises UsageError."""
    try:
        if text.endswith("%"):
            return float(text[:-1]) / 100
        return int(text) if text.isdigit() else float(text)
    except ValueError:
        raise UsageError(f"--subset={text} is no number: give a fraction (0.1, 10%) or a count (5000).") from None


def parse_classes(text: str) -> tuple[str, ...]:
    """A file of lines `wnid` or `wnid name`, or wnids with commas between. Raises UsageError."""
    path = Path(text).expanduser()
    if not os.path.isfile(path):  # noqa: PTH113  a long list of classes is no name of a file at all: is_file() raises
        found = [name.strip() for name in text.split(",")]
    else:
        try:
            found = [line.strip() for line in path.read_text("utf-8-sig").splitlines()]
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"--classes={text} cannot be read ({error}): give lines of wnids, in UTF-8.") from error
    chosen = tuple(dict.fromkeys(name for name in found if name))
    if not chosen:
        raise UsageError(f"--classes={text} names no class: give a file of wnids, or wnids with commas between.")
    return chosen


def selected(source: Source, selection: Selection, seed: int) -> Source:
    """The part of the source. Raises UsageError for classes that it does not have, and where nothing is left."""
    if selection.classes is not None:
        source = of_classes(source, selection.classes)
    splits = {name: part_of(pictures, selection, seed) for name, pictures in source.splits.items()}
    for name, pictures in splits.items():
        if not pictures:
            raise UsageError(
                f"nothing is left of the split {name!r}: choose more by --classes or --subset, or --split."
            )
    return replace(source, splits=splits)


def of_classes(source: Source, wanted: Iterable[str]) -> Source:
    """Numbered anew."""
    known = {info.wnid: number for number, info in enumerate(source.classes)}
    chosen, unknown = set[int](), list[str]()
    for text in wanted:
        name = text if text in known else text.split()[0]
        if name in known:
            chosen.add(known[name])
        else:
            unknown.append(text)
    if unknown:
        more = f" and {len(unknown) - SHOWN} more" if len(unknown) > SHOWN else ""
        raise UsageError(
            f"--classes names {len(unknown)} that the source does not have ({', '.join(unknown[:SHOWN])}{more}): its "
            f"classes are called like {next(iter(known), 'none')}."
        )
    numbers = {old: new for new, old in enumerate(sorted(chosen))}
    classes: tuple[ClassInfo, ...] = tuple(source.classes[old] for old in numbers)
    splits = {
        name: tuple(renumbered(it, numbers) for it in pictures if it.label in numbers)
        for name, pictures in source.splits.items()
    }
    return replace(source, classes=classes, splits=splits)


def renumbered(picture: Picture, numbers: Mapping[int, int]) -> Picture:
    beside = picture.beside.renumbered(numbers) if picture.beside is not None else None
    return replace(picture, label=numbers[picture.label], beside=beside)


def part_of(pictures: tuple[Picture, ...], selection: Selection, seed: int) -> tuple[Picture, ...]:
    """By key, as they came."""
    if (subset := selection.subset) is not None:
        count = max(1, round(subset * len(pictures))) if isinstance(subset, float) else subset
        ranked = sorted(pictures, key=lambda picture: rank(picture.key, seed))
        pictures = tuple(sorted(ranked[:count], key=lambda picture: picture.key))
    if selection.limit is not None:
        pictures = in_turn(pictures, selection.limit)
    return pictures


def rank(key: str, seed: int) -> bytes:
    """The same for every source that holds the key."""
    return hashlib.blake2b(key.encode(), digest_size=16, key=b"%d" % seed).digest()


def in_turn(pictures: tuple[Picture, ...], limit: int) -> tuple[Picture, ...]:
    """The first of every class, then the second of every class, ... up to the limit."""
    seen, rounds = Counter[int](), list[tuple[int, int, Picture]]()
    for picture in pictures:
        rounds.append((seen[picture.label], picture.label, picture))
        seen[picture.label] += 1
    chosen = sorted(rounds, key=lambda it: it[:2])[:limit]
    return tuple(sorted((it[2] for it in chosen), key=lambda picture: picture.key))
