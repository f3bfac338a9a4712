"""Which of the stream's classes each class of a part is: what its labels mean, said or found out, never guessed."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from tarn.sharding.errors import UsageError
from tarn.sharding.format.manifest import ClassInfo, are_numbered_alike
from tarn.training.streaming.part import Part

Classes = tuple[ClassInfo, ...]
NOWHERE = -1  # the number of a class that no sample of the part has
ADVICE = "say how its classes are found by class_map='wnid' or 'name', or by label_offset"


def mapped(
    part: Part, theirs: Classes, known: Classes, used: Collection[int] | None
) -> tuple[tuple[int, ...] | None, Classes]:
    """The number of each of the part's classes among those of the stream, None where they are the same, and the
    stream's classes with it. used: labels that the part's samples have, None: any. Raises UsageError naming a class
    that has no place."""
    if not theirs:
        return None, known  # nothing to be mapped: its labels stand in a table, or nobody asks for them
    if part.label_offset is not None:
        return offset(part, theirs, known, part.label_offset)
    if part.class_map == "number":
        if not are_numbered_alike(theirs, known[: len(theirs)]):
            raise UsageError(f"{part.url} has other classes than the stream ({first_other(theirs, known)}): {ADVICE}.")
        return None, known
    field = "wnid" if part.class_map == "wnid" else "name"
    places: dict[str, list[int]] = {}
    for number, info in enumerate(known):
        places.setdefault(getattr(info, field), []).append(number)
    numbers = []
    for number, info in enumerate(theirs):
        found = places.get(getattr(info, field), [])
        if len(found) != 1 and (used is None or number in used):
            told = "several classes" if found else "no class"
            raise UsageError(
                f"{part.url}: {told} of the stream {'have' if found else 'has'} the {field} of its class "
                f"{info.wnid} ({info.name}): choose other ones of it by classes, or map by "
                f"{'name' if field == 'wnid' else 'wnid'}."
            )
        numbers.append(found[0] if len(found) == 1 else NOWHERE)
    return tuple(numbers), known


def offset(part: Part, theirs: Classes, known: Classes, by: int) -> tuple[tuple[int, ...], Classes]:
    """The list is made longer by the classes that come behind its end."""
    if by > len(known):
        raise UsageError(
            f"{part.url}: label_offset={by} leaves classes without a name: the stream has {len(known)} before it, so "
            f"at most {len(known)}."
        )
    return tuple(range(by, by + len(theirs))), known + theirs[len(known) - by :]


def numbers_by_word(classes: Classes) -> dict[str, int]:
    """Names that several classes have are left out; a wnid comes before a name."""
    count = Counter(info.name for info in classes)
    words = {info.name: number for number, info in enumerate(classes) if count[info.name] == 1}
    return words | {info.wnid: number for number, info in enumerate(classes)}


def refuse_two_meanings(number: int, called: Mapping[str, int], where: str, advice: str) -> None:
    """Of a number that another class is called, too, for folders called 1, 10 and 2 have the numbers 0, 1 and 2.
    called: from a word to the number of its class. Raises UsageError."""
    if called.get(str(number), number) != number:
        raise UsageError(
            f"{where}: {number} is a class's number and the name of another class, of number {called[str(number)]}: "
            f"{advice}."
        )


def first_other(theirs: Classes, known: Classes) -> str:
    pairs = enumerate(zip(theirs, known, strict=False))
    number = next((number for number, (one, other) in pairs if one.wnid != other.wnid), None)
    if number is None:
        return f"{len(theirs)}, of which the stream has the first {len(known)}"
    return f"number {number} is {theirs[number].wnid}, in the stream {known[number].wnid}"


def numbers_of(words: Sequence[str | int], classes: Classes, where: str) -> frozenset[int]:
    """Labels of classes told by wnid, name or number, a text being a number only where no class is called so. Raises
    UsageError for one that is not there, or twice."""
    found = set()
    called = numbers_by_word(classes)
    for given in words:
        word = str(given)
        if isinstance(given, int):
            refuse_two_meanings(given, called, where, "give the wnid of the one that is meant, as a text")
        for told in ([info.wnid for info in classes], [info.name for info in classes]):
            if told.count(word) > 1:
                raise UsageError(f"{where}: {word!r} names {told.count(word)} classes: give the number of one.")
            if word in told:
                found.add(told.index(word))
                break
        else:
            if not word.isdecimal() or int(word) >= len(classes):
                raise UsageError(
                    f"{where}: {word!r} is no class of its {len(classes)}, neither by wnid nor by name or number."
                )
            found.add(int(word))
    return frozenset(found)
