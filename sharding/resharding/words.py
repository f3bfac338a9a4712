"""How samples of tars are read where somebody has to say it, and what a packed split remembers of that."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tarn.sharding.errors import UsageError
from tarn.sharding.foreign.reading import Reading
from tarn.sharding.format.manifest import ClassInfo
from tarn.sharding.resharding.others import Keep
from tarn.sharding.sources.class_list import read_classes

KIND = "shards"  # of source; in Split.packed also the name of what was said of it
CLASS_LIST = "--class-list"  # by which `pack` is given a list of classes


@dataclass(frozen=True, slots=True)
class SampleWords:
    """reading: which members are picture and label. classes: those that a list tells, None where none is given. keep:
    which of the others go along."""

    reading: Reading = field(default_factory=Reading)
    classes: tuple[ClassInfo, ...] | None = None
    keep: Keep = field(default_factory=Keep)

    @classmethod
    def chosen(
        cls, picture: str | None, label: str | None, class_list: str | None, members: str | None = None
    ) -> "SampleWords":
        """As a command says them. class_list: a file of lines `wnid name`, see read_classes. Raises UsageError."""
        return cls(
            Reading.chosen(picture, label),
            read_classes(Path(class_list).expanduser(), CLASS_LIST) if class_list is not None else None,
            Keep.chosen(members),
        )

    def packed(self) -> dict[str, Any]:
        """What Split.packed tells of it, the list of classes too, for the source is read by it again; nothing where
        nothing was said."""
        listed = [[info.wnid, info.name] for info in self.classes] if self.classes is not None else None
        told = {**self.reading.packed(), **({"classes": listed} if listed is not None else {}), **self.keep.packed()}
        return {KIND: told} if told else {}

    @classmethod
    def of(cls, packed: Mapping[str, Any]) -> "SampleWords":
        """By which a split was packed."""
        told = packed.get(KIND, {})
        listed = told.get("classes")
        return cls(
            Reading.of(told), tuple(ClassInfo(*each) for each in listed) if listed is not None else None, Keep.of(told)
        )

    def refuse_endings(self, what: str) -> None:
        """Raises UsageError where endings are said of a source that is none of shards."""
        if self.reading != Reading() or self.keep != Keep():
            raise UsageError(f"--picture, --label and --members are about samples of shards, the source is {what}.")

    def refuse_beside_manifest(self) -> None:
        """Raises UsageError where something is said of a dataset of our own."""
        if replace(self, keep=Keep()) != SampleWords():
            raise UsageError(
                f"--picture, --label and {CLASS_LIST} are about tars of others: a dataset's own manifest tells how it "
                "is read."
            )
