"""Which member of a sample is its picture and which tells its label, where somebody has to say it."""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from tarn.sharding.errors import TarnError, UsageError
from tarn.sharding.sources.tree import EXTENSIONS

USUAL = ("jpg", "jpeg", "png", "webp")
OTHERS = tuple(each[1:] for each in EXTENSIONS if each[1:] not in USUAL)  # looked for where none of the usual is there
PICTURES = (*USUAL, *OTHERS)
MOST_BYTES = 2**20  # of a member that tells a label
ENDING = re.compile(r"[^\s/:]+")
NONE = "none"  # in place of a label's ending: samples have no class


@dataclass(frozen=True, slots=True)
class Reading:
    """Endings as the webdataset library has them: all behind the first dot of a base name, in lower case.

    picture: None for that of any picture. label: None for cls, json, or a wnid in the key; `ending:key` names a key of
    a JSON object; `none`: samples have no class (captions, boxes, masks), and -1 stands in its place in the index.
    """

    picture: str | None = None
    label: str | None = None

    @classmethod
    def chosen(cls, picture: str | None, label: str | None) -> "Reading":
        """As somebody writes them. Raises UsageError for what is no ending."""
        if label == NONE:
            return cls(ending_of(picture, "picture") if picture is not None else None, NONE)
        ending, colon, key = (label or "").partition(":")
        told = ending_of(ending, "label") if label is not None else None
        if told is not None and colon:
            if not key or not is_json(told):
                raise UsageError(f"--label={label} names a key of no JSON: write --label cls, or --label json:label.")
            told = f"{told}:{key}"
        return cls(ending_of(picture, "picture") if picture is not None else None, told)

    @classmethod
    def of(cls, packed: Mapping[str, Any]) -> "Reading":
        """By which a split was indexed. Raises TarnError."""
        told = packed.get("reading", {})
        if told.keys() - {field.name for field in fields(cls)}:
            raise TarnError(
                f"the manifest tells a reading of samples that this Tarn does not know ({told}): update it."
            )
        return cls(**told)

    def packed(self) -> dict[str, Any]:
        """What Split.packed tells of it: nothing where nothing was chosen."""
        return {} if self == Reading() else {"reading": asdict(self)}

    @property
    def has_labels(self) -> bool:
        return self.label != NONE

    @property
    def label_member(self) -> str | None:
        return self.label.partition(":")[0] if self.label is not None and self.has_labels else None

    @property
    def label_key(self) -> str | None:
        return self.label.partition(":")[2] or None if self.label is not None else None

    def wants(self, name: str, size: int) -> bool:
        """Whether the bytes of a member are needed: those that tell a label, or the name of its class."""
        known = name.lower().endswith((".cls", ".json"))
        return size <= MOST_BYTES and (known or parted(name)[1] == self.label_member)

    def tells_label(self, ending: str) -> bool:
        """Whether a member of that ending holds the label and nothing else."""
        return ending == (self.label_member or "cls") and not is_json(ending)

    def endings(self) -> frozenset[str]:
        """Of all members that may be needed."""
        pictures = PICTURES if self.picture is None else (self.picture,)
        return frozenset((*pictures, "cls", "json", *filter(None, [self.label_member])))

    def pictures(self, endings: Mapping[str, Any]) -> list[str]:
        """The endings of a sample's pictures, one in a sound sample."""
        if self.picture is not None:
            return [self.picture] if self.picture in endings else []
        usual = [ending for ending in USUAL if ending in endings]
        return usual or [ending for ending in OTHERS if ending in endings]


def ending_of(text: str, what: str) -> str:
    ending = text.removeprefix(".").lower()
    if not ENDING.fullmatch(ending):
        raise UsageError(f"--{what}={text} is no ending of a member: write it as in --picture jpg --label outputs.txt.")
    return ending


def is_json(ending: str) -> bool:
    return ending.rpartition(".")[2] == "json"


def parted(name: str) -> tuple[str, str]:
    """Key and ending of a member; the ending in lower case, both empty where the base name begins with a dot."""
    folder, slash, base = name.rpartition("/")
    stem, _, ending = base.partition(".")
    return (f"{folder}{slash}{stem}", ending.lower()) if stem else ("", "")
