"""Rows of one split of a table as they are read, held small, and the pictures that they become."""

from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from tarn.sharding.sources import Picture, Problems
from tarn.sharding.sources.beside import Beside
from tarn.sharding.sources.keys import keys_of_paths, unique_keys
from tarn.sharding.sources.labels import Cell, Labels
from tarn.sharding.sources.place import Place

NO_LABEL = "rows whose label is missing, or neither a number nor a word"
FILES = 2**40  # more than a file has rows; a row's number is its own and its file's times so many
SAME = "keys that come again"
UNKNOWN = "labels that are no class"


@dataclass(slots=True)
class Gathered:
    """names: of the pictures, as paths, which give the keys, unless keys are told; codes: of labels, see labels.py, the
    first of each row; numbers: of rows, by which `at` names them; several: codes by row, of those with a list, and
    where there are such, each picture's labels are kept; fields:
    JSON text by row."""

    names: list[str] = field(default_factory=list)
    places: list[Place] = field(default_factory=list)
    sizes: "array[int]" = field(default_factory=lambda: array("q"))
    codes: "array[int]" = field(default_factory=lambda: array("i"))
    numbers: "array[int]" = field(default_factory=lambda: array("q"))
    several: dict[int, tuple[int, ...]] = field(default_factory=dict)
    fields: dict[int, str] = field(default_factory=dict)
    keys: list[str] = field(default_factory=list)

    def add(
        self,
        number: int,
        name: str,
        place: Place,
        size: int,
        codes: Sequence[int],
        several: bool,
        key: str | None = None,
        fields: str = "",
    ) -> None:
        """key: None where keys come of the names."""
        if several:
            self.several[len(self.places)] = tuple(codes)
        if fields:
            self.fields[len(self.places)] = fields
        if key is not None:
            self.keys.append(key)
        self.names.append(name)
        self.places.append(place)
        self.sizes.append(size)
        self.codes.append(codes[0])
        self.numbers.append(number)

    def pictures(
        self,
        labels: Labels,
        classes: Sequence[int],
        at: Callable[[int, str], str],
        wrong: Problems,
    ) -> tuple[Picture, ...]:
        """By key. classes: the number of each code's class, -1 where it has none. at: says where a row stands."""
        keys = self.told_keys(at, wrong) if self.keys else keys_of_paths(self.names, self.place_of)
        pictures = []
        for row, key in enumerate(keys):
            codes = self.several.get(row, (self.codes[row],))
            found = [classes[code] if code >= 0 else -1 for code in codes]
            for code, number in zip(codes, found, strict=True):
                if number < 0:
                    text = labels.texts[code] if code >= 0 else self.names[row].rpartition("/")[2]
                    wrong.add(UNKNOWN if code >= 0 else NO_LABEL, at(self.numbers[row], text))
            beside = None
            if self.several or row in self.fields:
                beside = Beside(tuple(found) if self.several else None, self.fields.get(row, ""))
            pictures.append(Picture(key, self.places[row], found[0], self.sizes[row], beside))
        pictures.sort(key=lambda picture: picture.key)
        for one, other in pairwise(pictures):
            if one.key == other.key and not self.keys:
                wrong.add(SAME, f"{one.place} and {other.place}")
        return tuple(pictures)

    def place_of(self, row: int) -> str:
        """Which file, and where in it."""
        file, number = divmod(self.numbers[row], FILES)
        return f"{file}-{number}"

    def told_keys(self, at: Callable[[int, str], str], wrong: Problems) -> list[str]:
        seen = set[str]()
        for row, key in enumerate(self.keys):
            if key in seen or not key:
                wrong.add(SAME if key else "rows without a key", at(self.numbers[row], key))
            seen.add(key)
        return unique_keys(self.keys)


def codes_of(labels: Labels, cell: Cell, several: bool) -> tuple[list[int], bool]:
    """And whether they are kept as a list: of a column of several, and of a list in JSON."""
    if several or isinstance(cell, list):
        return labels.all_codes(cell), True
    return [labels.code(cell)], False
