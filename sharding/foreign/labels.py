"""What the members of one sample tell of its class: a number or a wnid, and perhaps a name."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tarn.sharding.foreign.tar import Member

NUMBERS, SYNSETS, TEXTS = ("label", "cls", "class_id"), ("wnid", "synset"), ("text", "class_name")  # keys of the json
MOST_BYTES = 2**20  # of a cls or json member
LONGEST_WORD = 200  # characters of a class's name; a longer text is of the picture, not of its class
WNID = re.compile(r"(?<![A-Za-z0-9])n\d{8}(?!\d)")
CONFLICT = ""

Label = int | str  # a class's number, or its wnid


@dataclass(slots=True)
class Names:
    """What the samples of a label say of its class. CONFLICT where they do not agree."""

    wnids: dict[Label, str] = field(default_factory=dict)
    texts: dict[Label, str] = field(default_factory=dict)

    def add(self, label: Label, wnid: str | None, text: str | None) -> None:
        for table, value in ((self.wnids, wnid), (self.texts, text)):
            if value is not None and table.setdefault(label, value) != value:
                table[label] = CONFLICT

    def merge(self, other: "Names") -> None:
        for label in other.wnids.keys() | other.texts.keys():
            self.add(label, other.wnids.get(label), other.texts.get(label))


def wanted(name: str, size: int) -> bool:
    """Whether the bytes of a member are needed: those that tell a label."""
    return name.lower().endswith((".cls", ".json")) and size <= MOST_BYTES


def label_of(key: str, parts: Mapping[str, Member], told: Mapping[str, Any]) -> Label | None:
    """From cls, else from the json, else the wnid in the key. told: the json's contents."""
    if "cls" in parts:
        return number_or_wnid((parts["cls"].data or b"").decode("ascii", "replace"))
    for name in NUMBERS:
        if type(told.get(name)) is int:  # not bool
            return int(told[name])
    texts = (told[name] for name in NUMBERS if isinstance(told.get(name), str))
    for label in map(number_or_wnid, texts):
        if label is not None:
            return label
    return wnid_of(key, told)


def number_or_wnid(text: str) -> Label | None:
    """Of digits, or of a wnid alone; None for any other text."""
    word = text.strip()
    if re.fullmatch(r"[+-]?[0-9]{1,18}", word):
        return int(word)
    return word if WNID.fullmatch(word) else None


def wnid_of(key: str, told: Mapping[str, Any]) -> str | None:
    return word(told, SYNSETS) or wnid_in(key)


def text_of(told: Mapping[str, Any]) -> str | None:
    return word(told, TEXTS)


def read_json(data: bytes | None) -> dict[str, Any]:
    """Its object; empty for anything else, for perhaps the label is told elsewhere."""
    try:
        told = json.loads(data or b"")
    except (ValueError, RecursionError):
        return {}
    return told if isinstance(told, dict) else {}


def word(told: Mapping[str, Any], names: tuple[str, ...]) -> str | None:
    """The first of the names that has a short text."""
    for name in names:
        value = told.get(name)
        if isinstance(value, str) and 0 < len(value.strip()) <= LONGEST_WORD and value.strip().isprintable():
            return value.strip()
    return None


def wnid_in(key: str) -> str | None:
    """Of the base name, else of the innermost folder that holds one."""
    for part in reversed(key.split("/")):
        if match := WNID.search(part):
            return match[0]
    return None
