"""What the members of one sample tell of its class: a number, a wnid or a name, and perhaps more about the class."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tarn.sharding.archives.tar import Member
from tarn.sharding.foreign.reading import Reading, is_json

NUMBERS, SYNSETS, TEXTS = ("label", "cls", "class_id"), ("wnid", "synset"), ("text", "class_name")  # keys of the json
NAMES = (*NUMBERS, "class_name")  # keys that may hold a class's name as the label
LONGEST_WORD = 200  # characters of a class's name; a longer text is of the picture, not of its class
MOST_DIGITS = 18  # of a number that is worth a look
WNID = re.compile(r"(?<![A-Za-z0-9])n\d{8}(?!\d)")
CONFLICT = ""


@dataclass(frozen=True, slots=True)
class ClassName:
    """A label in words: which class it is, only a list of classes tells."""

    text: str

    def __str__(self) -> str:
        return self.text


Label = int | str | ClassName  # a class's number, its wnid, or its name


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


def label_of(key: str, parts: Mapping[str, Member], told: Mapping[str, Any], reading: Reading) -> Label | None:
    """From the member that was chosen; else from cls, else from the json, else the wnid in the key. told: the json's
    contents."""
    if not reading.has_labels:
        return None
    if reading.label_member is not None:
        return chosen_label(parts, reading.label_member, reading.label_key)
    if "cls" in parts:
        return label_in(text_of_bytes(parts["cls"].data))
    return first(known_in(told), wnid_in(key), name_in(told))


def chosen_label(parts: Mapping[str, Member], ending: str, key: str | None) -> Label | None:
    """key: of a JSON object, None for those that usually hold a label."""
    if ending not in parts:
        return None
    if not is_json(ending):
        return label_in(text_of_bytes(parts[ending].data))
    told = read_json(parts[ending].data)
    return label_in_value(told.get(key)) if key is not None else first(known_in(told), name_in(told))


def first(*labels: Label | None) -> Label | None:
    return next((label for label in labels if label is not None), None)


def known_in(told: Mapping[str, Any]) -> Label | None:
    """The number or the wnid that a json tells: numbers before numbers as text."""
    found = [label_in_value(told.get(name)) for name in NUMBERS]
    whole = [label for label, name in zip(found, NUMBERS, strict=True) if type(told.get(name)) is int]
    return first(*whole, *(label for label in found if not isinstance(label, ClassName)), word(told, SYNSETS))


def name_in(told: Mapping[str, Any]) -> Label | None:
    return first(*(label_in_value(told.get(name)) for name in NAMES))


def label_in_value(value: Any) -> Label | None:
    """Of what a json holds."""
    if type(value) is int:  # not bool
        return value
    return label_in(value) if isinstance(value, str) else None


def label_in(text: str) -> Label | None:
    """Of digits, a wnid or a name alone; None for any other text."""
    label = text.strip()
    if re.fullmatch(r"[+-]?[0-9]+", label):
        return int(label) if len(label) <= MOST_DIGITS else None
    if WNID.fullmatch(label):
        return label
    return ClassName(label) if 0 < len(label) <= LONGEST_WORD and label.isprintable() else None


def text_of_bytes(data: bytes | None) -> str:
    """Empty for what is no text."""
    try:
        return (data or b"").decode("utf-8-sig")
    except UnicodeDecodeError:
        return ""


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
