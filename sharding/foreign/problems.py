"""What can be wrong with one sample, and what would mend it where its members only have other endings."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tarn.sharding.archives.headers import shown
from tarn.sharding.archives.tar import Member
from tarn.sharding.foreign.labels import Label, label_in_value, read_json
from tarn.sharding.foreign.reading import PICTURES, Reading, is_json

PICTURE, LABEL = "picture", "label"
SEVERAL = "samples with several pictures"
AGAIN = "keys that come again behind other samples"
TOLD_KEYS = 5  # of a json
LIKELY = ("cls", "class", "label", "category", "target", "txt", "text", "json:")  # within what tells a label


@dataclass(frozen=True, slots=True)
class Problem:
    """kind: of many such samples, counted together. lacks: picture and label where the sample has none; endings: what
    it has then, a json with its keys, in the words of --picture and --label."""

    kind: str
    key: str
    lacks: tuple[str, ...] = ()
    endings: tuple[str, ...] = ()

    @property
    def told(self) -> str:
        return self.kind + (f", which have {', '.join(self.endings)}" if self.lacks else "")


def problem_of(
    key: str, parts: Mapping[str, Member], label: Label | None, doubled: bool, reading: Reading, empty: bool = False
) -> Problem | None:
    """doubled: two members of the sample have the same ending. empty: a picture without a byte is none."""
    pictures, told = reading.pictures(parts), reading.label_member or "cls"
    lacks_label = label is None and reading.has_labels
    lacks = (PICTURE,) * (not pictures)
    lacks += (LABEL,) * (lacks_label and not holds_label(parts, told, reading.label_key))
    if doubled:
        return Problem("samples with two members of the same ending", shown(key))
    if lacks:
        return Problem(kind_of(lacks, reading), shown(key), lacks, endings_of(parts))
    if len(pictures) > 1:
        return Problem(SEVERAL, shown(key), endings=tuple(map(shown, pictures)))
    if parts[pictures[0]].size == 0 and not empty:
        return Problem("empty pictures", shown(key))
    if lacks_label:
        return Problem(f"labels ({reading.label or told}) that are not a number, a wnid or a name", shown(key))
    return None


def holds_label(parts: Mapping[str, Member], ending: str, key: str | None) -> bool:
    """Of whatever kind, readable or not."""
    return ending in parts and (key is None or key in read_json(parts[ending].data))


def kind_of(lacks: tuple[str, ...], reading: Reading) -> str:
    if PICTURE in lacks:
        return f"samples without a picture ({reading.picture or 'jpg, png, webp and the like'})"
    return f"samples without a label ({reading.label or 'cls, json or wnid'})"


def endings_of(parts: Mapping[str, Member]) -> tuple[str, ...]:
    found = []
    for ending in sorted(parts):
        told = read_json(parts[ending].data) if is_json(ending) else {}
        keys = [key for key, value in told.items() if key.isprintable() and label_in_value(value) is not None]
        found += [f"{ending}:{key}" for key in keys[:TOLD_KEYS]] or [ending]
    return tuple(shown(each) for each in found)


def which_have(problems: Iterable[Problem]) -> dict[str, str]:
    """By kind: the endings of most of the samples that lack something, as a clause."""
    counts: dict[str, Counter[tuple[str, ...]]] = {}
    for problem in problems:
        if problem.lacks:
            counts.setdefault(problem.kind, Counter())[problem.endings] += 1
    told = {}
    for kind, found in counts.items():
        endings = ", ".join(found.most_common(1)[0][0])
        told[kind] = f", which have {endings}" if len(found) == 1 else f", most of which have {endings}"
    return told


def advice(problems: Iterable[Problem]) -> str | None:
    """The options by which most of the samples that lack something, or have too many pictures, would be sound; None
    where none is to be seen."""
    found = list(problems)
    counts = Counter((problem.lacks, problem.endings) for problem in found if problem.lacks)
    if not counts:
        several = Counter(problem.endings for problem in found if problem.kind == SEVERAL).most_common(1)
        return (
            f"say which is the picture by {choice(several[0][0])}; the others are there for the loader's fields"
            if several
            else None
        )
    lacks, endings = counts.most_common(1)[0][0]
    label = next((each for word in LIKELY for each in endings if word in each), None)
    pictures = tuple(each for each in endings if each.rpartition(".")[2] in PICTURES)
    words = [choice(pictures)] if PICTURE in lacks and pictures else []
    words += [f"--label {label}"] if LABEL in lacks and label else []
    if not words and PICTURE in lacks:
        return "write the tars without them, or with their pictures in one of these formats"
    return f"say which member is the {' and which the '.join(lacks)} by {' '.join(words)}" if words else None


def choice(pictures: tuple[str, ...]) -> str:
    return f"--picture {' (or '.join(pictures)}{')' * (len(pictures) - 1)}"
