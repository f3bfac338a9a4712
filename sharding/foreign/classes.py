"""The classes of tars that somebody else packed: the numbers and names of all labels, the same in every split."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from tarn.sharding.errors import TarnError
from tarn.sharding.foreign.headers import shown
from tarn.sharding.foreign.labels import CONFLICT, WNID, Label, Names
from tarn.sharding.foreign.samples import Samples
from tarn.sharding.format.manifest import ClassInfo
from tarn.sharding.sources import Problems

MOST_CLASSES = 1_000_000
Tars = Mapping[str, Samples]  # by the tar's name


def read_classes(path: Path) -> tuple[ClassInfo, ...]:
    """Lines of `wnid name, other name`, in their order, or of names alone. Raises TarnError naming lines twice there.

    Where some line begins with a wnid, the first word is the class's own. Else a line is a name as a whole, for of
    "great white shark" "great" is none; an own word may then be told by a tab behind it.
    """
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise TarnError(f"--classes={path} cannot be read ({error}): give a file of lines `wnid name`.") from error
    separator = " " if any(WNID.fullmatch(line.strip().partition(" ")[0]) for line in lines) else "\t"
    infos: dict[str, ClassInfo] = {}
    for number, line in enumerate(lines, 1):
        wnid, _, name = line.strip().partition(separator)
        if wnid in infos:
            raise TarnError(f"--classes={path} lists {wnid} again in line {number}: give each class one line.")
        if wnid:
            infos[wnid] = ClassInfo(wnid, name.strip() or wnid)
    if not infos:
        raise TarnError(f"--classes={path} is empty: give a file of lines `wnid name`.")
    return tuple(infos.values())


def classes_of(tars: Tars, listed: Sequence[ClassInfo] | None, problems: Problems) -> tuple[ClassInfo, ...]:
    """In the order of their numbers; what does not fit is added to the problems.

    Numbers count the lines of the list, where there is one. Wnids are numbered in their sorted order: all of the list,
    else all that were found.
    """
    labels = {label for samples in tars.values() for label in samples.labels}
    names = Names()
    for samples in tars.values():
        names.merge(samples.names)
    numbers = {label for label in labels if isinstance(label, int)}
    if len(numbers) == len(labels):
        return numbered(numbers, names, tars, listed, problems)
    if numbers:
        complain(problems, "samples labelled by number, others by wnid", tars, lambda label: label in numbers)
    wnids = {label for label in labels if isinstance(label, str)}
    if listed is None:
        return tuple(ClassInfo(wnid, names.texts.get(wnid) or wnid) for wnid in sorted(wnids))
    known = {info.wnid: info for info in listed}
    complain(
        problems, "samples of a wnid that --classes does not list", tars, lambda label: label in wnids - set(known)
    )
    return tuple(known[wnid] for wnid in sorted(known))


def numbers_of(classes: Sequence[ClassInfo]) -> dict[Label, int]:
    """The class number of each label that a sample may have, a wnid or the number itself."""
    numbers: dict[Label, int] = {info.wnid: number for number, info in enumerate(classes)}
    return numbers | {number: number for number in range(len(classes))}


def numbered(
    numbers: set[int], names: Names, tars: Tars, listed: Sequence[ClassInfo] | None, problems: Problems
) -> tuple[ClassInfo, ...]:
    """Of labels that are numbers already."""
    count = len(listed) if listed is not None else MOST_CLASSES
    outside = {number for number in numbers if not 0 <= number < count}
    complain(problems, f"labels outside 0 to {count - 1}", tars, lambda label: label in outside)
    if listed is None:
        return () if outside else tuple(named(max(numbers, default=-1) + 1, names))
    places = {info.wnid: place for place, info in enumerate(listed)}
    for number in sorted(numbers - outside):
        wnid = names.wnids.get(number, "")
        if places.get(wnid, number) != number:  # a list in another order would give the classes each other's names
            problems.add("classes that --classes numbers otherwise", f"{wnid}: {places[wnid]} there, {number} in tars")
    return tuple(listed)


def named(count: int, names: Names) -> list[ClassInfo]:
    """By what the samples tell where all of a class tell the same and no other class does, else by the number."""
    times = Counter(names.wnids.values())
    infos = []
    for number in range(count):
        wnid = names.wnids.get(number, CONFLICT)
        wnid = wnid if wnid != CONFLICT and times[wnid] == 1 else str(number)
        infos.append(ClassInfo(wnid, names.texts.get(number) or wnid))
    return infos


def complain(problems: Problems, kind: str, tars: Tars, is_wrong: Callable[[Label], bool]) -> None:
    """Adds each sample that has a wrong label."""
    for name, samples in tars.items():
        wrong = [place for place, label in enumerate(samples.labels) if is_wrong(label)]
        if wrong:
            keys = samples.keys
            for row in np.flatnonzero(np.isin(samples.records["label"], wrong)).tolist():
                label = samples.labels[samples.records["label"][row]]
                problems.add(kind, f"{name}: {shown(keys[row])} has {label}")
