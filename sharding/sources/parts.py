"""What is known of a table's splits while its files are read, and the source that they become."""

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path

from tarn.sharding.archives.headers import shown
from tarn.sharding.format.manifest import ClassInfo
from tarn.sharding.sources import Problems, Source
from tarn.sharding.sources.class_list import read_classes
from tarn.sharding.sources.gathered import FILES, UNKNOWN, Gathered
from tarn.sharding.sources.labels import Labels
from tarn.sharding.sources.splits import SYNONYMS
from tarn.sharding.sources.splitting import split_in_cell, unnamed
from tarn.sharding.sources.table import Table
from tarn.sharding.sources.tree import PassedOver

Classes = tuple[ClassInfo, ...]


@dataclass(slots=True)
class Part:
    """Of a split. seen: the code of each picture's label, or those of several, by its path; codes: of all labels, also
    where the split's pictures are not asked for; gone: pictures that were not there."""

    gathered: Gathered = field(default_factory=Gathered)
    seen: dict[str, int | tuple[int, ...]] = field(default_factory=dict)
    codes: set[int] = field(default_factory=set)
    problems: Problems = field(default_factory=Problems)
    passed: PassedOver = field(default_factory=PassedOver)
    gone: int = 0


class Parts:
    """unit: what a row of the files is called. A row's number counts in its file, whose place in the list is added,
    times FILES."""

    def __init__(self, files: Sequence[str], unit: str, wanted: tuple[str, ...], how: Table) -> None:
        self.files, self.unit, self.wanted, self.how = files, unit, wanted, how
        self.labels, self.problems, self.found = Labels(class_list(how)), Problems(), dict[str, Part]()

    def of_row(self, number: int, cell: object, in_column: bool, default: str | None) -> tuple[str, Part] | None:
        """The split of a row: of its own cell where there is such a column, else that of its file's name, else what was
        asked for. None, and a problem, for one that is unknown."""
        name = split_in_cell(cell) if in_column else default or unnamed(self.wanted)
        if name is None:
            self.problems.add("rows of an unknown split", self.at(number, str(cell)))
            self.problems.advise(f"call splits by one of {', '.join(SYNONYMS)}")
            return None
        return name, self.found.setdefault(name, Part())

    def at(self, number: int, what: str) -> str:
        file, row = divmod(number, FILES)
        return f"{f'{shown(what)} ' if what else ''}in {self.unit} {row} of {self.files[file].rpartition('/')[2]}"

    def source(self, kind: str, where: str, renamed: Callable[[Classes], Classes]) -> Source:
        """renamed: gives classes better names. Raises TarnError that counts and names what does not fit together."""
        passed, splits, gone = PassedOver(), {}, 0
        parts = self.settled(passed)
        judge = parts.get("train") or parts.get("val")
        classes, numbers = self.labels.settle(judge.codes if judge is not None else set())
        for name, part in parts.items():
            if name in self.wanted:
                gone += part.gone
                passed.take(part.passed)
                self.problems.take(part.problems)
                splits[name] = part.gathered.pictures(self.labels, numbers, self.at, self.problems)
        if self.labels.mixed:
            self.problems.advise("let labels be all numbers or all names, or name the classes by --class-list")
        elif UNKNOWN in self.problems.found:
            self.problems.advise(self.labels.advice(classes))
        self.problems.raise_if_any(where)
        notes = self.notes(
            classes, {numbers[code] for code in judge.codes if code >= 0} if judge is not None else set()
        )
        return Source(kind, renamed(classes), splits, passed, self.how.packed(gone), notes)

    def notes(self, classes: Classes, used: Set[int]) -> tuple[str, ...]:
        """used: numbers that labels told."""
        if self.labels.told is not None or not used or 0 in used or classes[0].wnid != "0":
            return ()
        return (f"labels begin at {min(used)}, and classes are counted from 0: class 0 has no picture",)

    def settled(self, passed: PassedOver) -> Mapping[str, Part]:
        """test is val where there is no val, as in a tree; beside it, it is passed over."""
        found = {name: part for name, part in self.found.items() if name != "test"}
        if (test := self.found.get("test")) is not None:
            if "val" in found:
                passed.add("test splits, beside val", f"{len(test.gathered.places):,} pictures")
            else:
                found["val"] = test
        return found


def class_list(how: Table) -> Classes | None:
    return read_classes(Path(how.class_list).expanduser(), "--class-list") if how.class_list is not None else None
