"""Labels as tables tell them (numbers, wnids, names of classes), and the classes that they mean."""

import json
import re
from collections.abc import Iterable, Sequence, Set
from typing import Any

from tarn.sharding.archives.headers import shown
from tarn.sharding.format.manifest import ClassInfo
from tarn.sharding.sources.class_list import WNID, classes_called

MOST_CLASSES, LONGEST = 1_000_000, 200
NUMBER = re.compile(r"-?[0-9]{1,18}(\.0*)?")  # 3.0 is what tables of numbers make of a 3 where one is missing
BETWEEN = re.compile(r"[;|]")

Cell = Any  # a text, a number, or a list of them


class Labels:
    """Those that were seen, each with a code, so that a row holds a small number. told: the list of classes, whose
    numbers count it, where there is one."""

    def __init__(self, told: Sequence[ClassInfo] | None) -> None:
        self.told, self.codes, self.texts = told, dict[Any, int](), list[str]()
        self.mixed = False  # whether some are numbers and others are not, where no list says what is right

    def code(self, cell: Cell) -> int:
        """-1 for what is no label: nothing, an object, a text of several lines or without end."""
        code = self.codes.get(cell) if type(cell) in (int, str) else None
        if code is None:
            text = text_of(cell)
            if text is None:
                return -1
            code = self.codes.setdefault(text, len(self.texts))
            if code == len(self.texts):
                self.texts.append(text)
            self.codes[cell] = code
        return code

    def all_codes(self, cell: Cell) -> list[int]:
        """Of a cell that tells several; [-1] where it tells none."""
        return list(dict.fromkeys(map(self.code, parts_of(cell)))) or [-1]

    def settle(self, judge: Set[int]) -> tuple[tuple[ClassInfo, ...], list[int]]:
        """The classes, and the number of each code's class, -1 where it is none of them. judge: codes of the labels
        that make the classes, those of train as in a tree; of another split each must be among them.

        Numbers count the list's lines, else they are as they are. Wnids are numbered in their sorted order, as in a
        tree; names as the list has them, else sorted.
        """
        numbers = [NUMBER.fullmatch(text) is not None for text in self.texts]
        numeric = all(numbers)
        if self.told is not None:
            return self.of_list(self.told, numeric)
        if not numeric:
            wrong = sum(numbers) > len(numbers) / 2  # numbers and names: the rarer kind is the mistake
            self.mixed = any(numbers)
            names = sorted(it for code, it in enumerate(self.texts) if code in judge and numbers[code] == wrong)
            places = {name: number for number, name in enumerate(names)}
            return tuple(ClassInfo(name, name) for name in names), [places.get(text, -1) for text in self.texts]
        found = [number_of(text, MOST_CLASSES) for text in self.texts]
        count = max((number for code, number in enumerate(found) if code in judge), default=-1) + 1
        classes = tuple(ClassInfo(str(number), str(number)) for number in range(count))
        return classes, [number if number < count else -1 for number in found]

    def advice(self, classes: Sequence[ClassInfo]) -> str:
        """What a label must be to be one of the classes."""
        if self.told is not None:
            own, name = self.told[0].wnid, self.told[0].name
            called = shown(own if own == name else f"{own} or {name}")
            return f"--class-list has {len(self.told):,} classes, called like {called}, or by number from 0"
        if classes and all(info.wnid == str(number) for number, info in enumerate(classes)):
            return f"labels of train count from 0 to {len(classes) - 1:,}: mend those rows, or take them out"
        return "let train have each class, or take their rows out"

    def of_list(self, told: Sequence[ClassInfo], numeric: bool) -> tuple[tuple[ClassInfo, ...], list[int]]:
        wnids = {info.wnid: info for info in told}
        if not numeric and all(map(WNID.fullmatch, wnids)):
            told = tuple(wnids[wnid] for wnid in sorted(wnids))
        own = {info.wnid: number for number, info in enumerate(told)}
        called = {name: found[0] for name, found in classes_called(told).items() if len(found) == 1} | own
        numbers = [
            number_of(text, len(told)) if numeric and text not in own else called.get(text, -1) for text in self.texts
        ]
        return tuple(told), numbers


def text_of(cell: Cell) -> str | None:
    if type(cell) is float and cell.is_integer():
        cell = int(cell)
    if type(cell) not in (int, str):
        return None
    text = str(cell).strip()
    return text if 0 < len(text) <= LONGEST and text.isprintable() else None


def number_of(text: str, count: int) -> int:
    number = int(text.partition(".")[0])
    return number if 0 <= number < count else -1


def parts_of(cell: Cell) -> Iterable[Cell]:
    """`3;7`, `cat|dog` and JSON's `["cat", "dog"]`; a list as it is."""
    if not isinstance(cell, str):
        return cell if isinstance(cell, list) else [cell]
    if cell.lstrip().startswith("["):
        try:
            found = json.loads(cell)
        except (ValueError, RecursionError):
            return [None]
        return found if isinstance(found, list) else [None]
    return BETWEEN.split(cell)
