"""The classes of tars that somebody else packed: the numbers and names of all labels, the same in every split."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet

import numpy as np

from tarn.sharding.archives.headers import shown
from tarn.sharding.foreign.labels import CONFLICT, WNID, ClassName, Label, Names
from tarn.sharding.foreign.samples import Samples
from tarn.sharding.format.manifest import ClassInfo
from tarn.sharding.sources import Problems
from tarn.sharding.sources.class_list import classes_called

MOST_CLASSES = 1_000_000
CLASSES = "--classes"  # by which `index` is given a list
Tars = Mapping[str, Samples]  # by the tar's name


def classes_of(
    tars: Tars, listed: Sequence[ClassInfo] | None, problems: Problems, word: str = CLASSES
) -> tuple[ClassInfo, ...]:
    """In the order of their numbers; what does not fit is added to the problems. word: by which the list is given.

    Numbers count the lines of the list, where there is one. Wnids are numbered in their sorted order: all of the list,
    else all that were found. Names are looked up in the list; of a list without wnids the order is that of its lines.
    """
    labels = {label for samples in tars.values() for label in samples.labels}
    names = Names()
    for samples in tars.values():
        names.merge(samples.names)
    numbers = {label for label in labels if isinstance(label, int)}
    wnids = {label for label in labels if isinstance(label, str)}
    words = {label for label in labels if isinstance(label, ClassName)}
    if len(numbers) == len(labels):
        return numbered(numbers, names, tars, listed, problems, word)
    if numbers and (wnids or listed is not None):
        others = "wnid" if wnids else "name"
        complain(problems, f"samples labelled by number, others by {others}", tars, lambda label: label in numbers)
    if listed is None:
        complain(problems, "labels that are neither a number nor a wnid", tars, lambda label: label in words)
        problems.advise(f"give {word} FILE, whose lines name the classes" if words else None)
        return tuple(ClassInfo(wnid, names.texts.get(wnid) or wnid) for wnid in sorted(wnids))
    known = {info.wnid: info for info in listed}
    complain(problems, f"samples of a wnid that {word} does not list", tars, lambda label: label in wnids - set(known))
    look_up(words, tars, listed, problems, word)
    is_sorted = bool(wnids) or all(WNID.fullmatch(wnid) for wnid in known)
    return tuple(known[wnid] for wnid in (sorted(known) if is_sorted else known))


def look_up(
    words: AbstractSet[ClassName], tars: Tars, listed: Sequence[ClassInfo], problems: Problems, word: str
) -> None:
    """Complains of names that the list does not have, and of those that it gives to several classes."""
    called = classes_called(listed)
    if unknown := {label for label in words if label.text not in called}:
        complain(problems, f"samples of a class that {word} does not list", tars, lambda label: label in unknown)
        problems.advise(f"add the class to {word}, or label the samples by a name that stands there")
    several: dict[Label, list[int]] = {it: called[it.text] for it in words if len(called.get(it.text, ())) > 1}
    if several:
        told = {
            label: f"{label}, a name of {' and '.join(listed[place].wnid for place in places)}"
            for label, places in several.items()
        }
        complain(problems, "labels that name several classes", tars, lambda label: label in several, told)
        problems.advise(f"label those samples by wnid or number, or make the names in {word} differ")


def numbers_of(classes: Sequence[ClassInfo]) -> dict[Label, int]:
    """The class number of each label that a sample may have: a wnid, a name of that class alone, the number itself."""
    names = {ClassName(name): found[0] for name, found in classes_called(classes).items() if len(found) == 1}
    numbers: dict[Label, int] = {info.wnid: number for number, info in enumerate(classes)}
    return numbers | {number: number for number in range(len(classes))} | names


def numbered(
    numbers: set[int], names: Names, tars: Tars, listed: Sequence[ClassInfo] | None, problems: Problems, word: str
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
            problems.add(f"classes that {word} numbers otherwise", f"{wnid}: {places[wnid]} there, {number} in tars")
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


def complain(
    problems: Problems,
    kind: str,
    tars: Tars,
    is_wrong: Callable[[Label], bool],
    told: Mapping[Label, str] | None = None,
) -> None:
    """Adds each sample that has a wrong label. told: what else is said of a label."""
    for name, samples in tars.items():
        wrong = [place for place, label in enumerate(samples.labels) if is_wrong(label)]
        if wrong:
            keys = samples.keys
            for row in np.flatnonzero(np.isin(samples.records["label"], wrong)).tolist():
                label = samples.labels[samples.records["label"][row]]
                problems.add(kind, f"{name}: {shown(keys[row])} has {(told or {}).get(label, label)}")
