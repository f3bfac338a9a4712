"""Variables of a MATLAB 5 file, as far as the devkit of ILSVRC needs them: structures, texts and numbers.

MathWorks, "MAT-File Format", version 5. scipy.io.loadmat reads it too; but nobody who packs ImageNet should have to
install 35 MB first for one table of a thousand names, and what of the format is needed takes a page.
"""

import math
import struct
import zlib
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Value: TypeAlias = "str | NDArray[np.float64] | list[dict[str, Value]] | None"
MATRIX, COMPRESSED = 14, 15
STRUCT, CHAR, NUMBERS = 2, 4, range(6, 16)
TYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
TEXTS = {1: "latin-1", 2: "latin-1", 4: "utf-16", 16: "utf-8", 17: "utf-16", 18: "utf-32"}
HEADER = 128
MOST_BYTES = 64 * 2**20  # of a variable, inflated
DEPTH = 8  # of structures in structures


class NotMatlabError(ValueError):
    """What is wrong with the file."""


@dataclass(slots=True)
class Elements:
    """Data elements, one behind the other. order: < or >, the bytes' order."""

    data: memoryview
    order: str
    at: int = 0

    @property
    def left(self) -> bool:
        return self.at < len(self.data)

    def next(self) -> tuple[int, memoryview]:
        """Type and bytes of one; short ones (at most 4 bytes) share a word with their type."""
        (word,) = self.unpack("L", self.at)
        if word >> 16:
            kind, size, start, end = word & 0xFFFF, word >> 16, self.at + 4, self.at + 8
        else:
            kind, (size,), start = word, self.unpack("L", self.at + 4), self.at + 8
            end = start + size + (-size % 8 if kind != COMPRESSED else 0)
        if start + size > len(self.data):
            raise NotMatlabError(f"it ends within the element at byte {self.at}")
        self.at = end
        return kind, self.data[start : start + size]

    def unpack(self, form: str, at: int) -> tuple[int, ...]:
        try:
            return struct.unpack_from(f"{self.order}{form}", self.data, at)
        except struct.error as error:
            raise NotMatlabError(f"it ends within the element at byte {at}") from error


def variables(data: bytes) -> dict[str, "Value"]:
    """By name. A structure is a list of its elements, each by the names of its fields. Raises NotMatlabError."""
    order = {b"IM": "<", b"MI": ">"}.get(data[126:128])
    if not data.startswith(b"MATLAB 5.0") or order is None:
        raise NotMatlabError("it does not begin as a MATLAB 5 file does")
    found, elements = {}, Elements(memoryview(data)[HEADER:], order)
    while elements.left:
        kind, content = elements.next()
        if kind == COMPRESSED:
            kind, content = Elements(memoryview(inflated(content)), order).next()
        if kind == MATRIX:
            name, value = matrix(content, order, 0)
            found[name] = value
    return found


def inflated(content: memoryview) -> bytes:
    try:
        return zlib.decompressobj().decompress(content, MOST_BYTES)
    except zlib.error as error:
        raise NotMatlabError(f"a variable cannot be inflated ({error})") from error


def matrix(content: memoryview, order: str, depth: int) -> tuple[str, "Value"]:
    """Name and value of an array; None for what is of another class."""
    if not len(content) or depth > DEPTH:
        return "", None
    elements = Elements(content, order)
    (flags, _) = Elements(elements.next()[1], order).unpack("2L", 0)
    dimensions = numbers(*elements.next(), order)
    name = text(*elements.next(), order)
    kind, count = flags & 0xFF, math.prod(map(whole, dimensions))
    if kind == STRUCT:
        return name, structure(elements, count, depth)
    if kind == CHAR:
        return name, text(*elements.next(), order) if count else ""
    if kind in NUMBERS:
        return name, numbers(*elements.next(), order) if count else np.zeros(0)
    return name, None


def structure(elements: Elements, count: int, depth: int) -> "Value":
    (width,) = numbers(*elements.next(), elements.order)
    raw = bytes(elements.next()[1])
    step = whole(width)
    names = [raw[at : at + step].split(b"\0")[0].decode("latin-1") for at in range(0, len(raw), step or 1)]
    if count > len(elements.data):
        raise NotMatlabError(f"it claims a structure of {count} elements")
    rows: list[dict[str, Value]] = []
    for _ in range(count):
        row = {}
        for name in names:
            kind, content = elements.next()
            row[name] = matrix(content, elements.order, depth + 1)[1] if kind == MATRIX else None
        rows.append(row)
    return rows


def whole(number: float) -> int:
    if not 0 <= number < 2**31:
        raise NotMatlabError(f"{number} is no number of elements")
    return int(number)


def numbers(kind: int, content: memoryview, order: str) -> NDArray[np.float64]:
    """In the order of the file, column by column."""
    if kind not in TYPES or len(content) % int(TYPES[kind][1]):
        raise NotMatlabError(f"numbers of type {kind} are not known")
    return np.frombuffer(content, f"{order}{TYPES[kind]}").astype(np.float64)


def text(kind: int, content: memoryview, order: str) -> str:
    if kind not in TEXTS:
        raise NotMatlabError(f"texts of type {kind} are not known")
    coding = TEXTS[kind]
    wide = "" if coding in ("latin-1", "utf-8") else ("-le" if order == "<" else "-be")
    return bytes(content).decode(coding + wide, "replace")
