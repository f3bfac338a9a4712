"""JPEGs of several scans, coded here from coefficients: any components, sampling and script (ITU-T T.81, F.1, G.1).

Huffman tables are flat, since what matters is the order of things: 4 bits for each category of DC, 8 or 9 for whatever
symbol of AC.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import islice

import numpy as np
from numpy.typing import NDArray

Block = list[int]  # 64 coefficients in zigzag order


@dataclass(frozen=True)
class Component:
    """blocks: rows x columns x 64, int, quantised, zigzag; whole MCUs."""

    h: int
    v: int
    blocks: NDArray[np.int64]


@dataclass(frozen=True)
class Scan:
    """components: numbers, in order. first, end: the band; high, low: T.81's Ah and Al. restart: MCUs, 0 for none."""

    components: tuple[int, ...]
    first: int
    end: int
    high: int = 0
    low: int = 0
    restart: int = 0


@dataclass
class Bits:
    text: list[str] = field(default_factory=list)

    def add(self, value: int, length: int) -> None:
        if length:
            self.text.append(format(value, f"0{length}b"))

    def bytes(self) -> bytes:
        joined = "".join(self.text)
        joined += "1" * (-len(joined) % 8)
        raw = bytes(int(joined[at : at + 8], 2) for at in range(0, len(joined), 8))
        return raw.replace(b"\xff", b"\xff\0")


def segment(marker: int, body: bytes) -> bytes:
    return bytes((0xFF, marker)) + (len(body) + 2).to_bytes(2, "big") + body


def tables() -> bytes:
    """DC: 12 symbols of 4 bits. AC: 254 of 8 bits, 2 of 9."""
    dc = bytes((0, 0, 0, 12)) + bytes(12) + bytes(range(12))
    ac = bytes(7) + bytes((254, 2)) + bytes(7) + bytes(range(256))
    return segment(0xC4, b"\0" + dc) + segment(0xC4, b"\x10" + ac)


def add_ac_symbol(out: Bits, symbol: int) -> None:
    out.add(symbol if symbol < 254 else 2 * 254 + symbol - 254, 8 if symbol < 254 else 9)


def add_value(out: Bits, value: int, size: int) -> None:
    out.add(value if value > 0 else value + (1 << size) - 1, size)


class Coder:
    """Of one scan's blocks between two markers."""

    def __init__(self, scan: Scan, progressive: bool) -> None:
        self.scan, self.progressive, self.out = scan, progressive, Bits()
        self.last, self.run, self.corrections = dict.fromkeys(scan.components, 0), 0, list[int]()

    def block(self, component: int, block: Block) -> None:
        if not self.progressive or self.scan.first == 0:
            self.dc(component, block[0])
        if not self.progressive or self.scan.first:
            (self.ac_refined if self.scan.high else self.ac)(block)

    def dc(self, component: int, value: int) -> None:
        value >>= self.scan.low
        if self.scan.high:
            self.out.add(value & 1, 1)
            return
        difference = value - self.last[component]
        size = abs(difference).bit_length()
        self.last[component] = value
        self.out.add(size, 4)
        add_value(self.out, difference, size)

    def ac(self, block: Block) -> None:
        zeros = 0
        for coefficient in block[max(1, self.scan.first) : self.scan.end + 1]:
            value = (abs(coefficient) >> self.scan.low) * (1 if coefficient > 0 else -1)
            if value == 0:
                zeros += 1
                continue
            self.end_bands()
            for _ in range(zeros // 16):
                add_ac_symbol(self.out, 0xF0)
            size = abs(value).bit_length()
            add_ac_symbol(self.out, zeros % 16 << 4 | size)
            add_value(self.out, value, size)
            zeros = 0
        if zeros:
            self.end_band([])

    def ac_refined(self, block: Block) -> None:
        """Figure G.7, as an encoder: corrections stand behind the next symbol."""
        band = [abs(value) >> self.scan.low for value in block[self.scan.first : self.scan.end + 1]]
        newest = max((k for k, value in enumerate(band) if value == 1), default=-1)
        zeros, corrections = 0, list[int]()
        for k, value in enumerate(band):
            if value > 1:
                corrections.append(value & 1)
                continue
            if value == 0:
                zeros += 1
                if zeros == 16 and k < newest:
                    self.new_coefficient(0xF0, None, corrections)
                    zeros, corrections = 0, []
                continue
            self.new_coefficient(zeros << 4 | 1, block[self.scan.first + k] > 0, corrections)
            zeros, corrections = 0, []
        if zeros or corrections:
            self.end_band(corrections)

    def new_coefficient(self, symbol: int, positive: bool | None, corrections: list[int]) -> None:
        self.end_bands()
        add_ac_symbol(self.out, symbol)
        if positive is not None:
            self.out.add(int(positive), 1)
        for bit in corrections:
            self.out.add(bit, 1)

    def end_band(self, corrections: list[int]) -> None:
        if not self.progressive:
            add_ac_symbol(self.out, 0)
            return
        self.run += 1
        self.corrections += corrections
        if self.run == 0x7FFF:
            self.end_bands()

    def end_bands(self) -> None:
        """What was held back, for it is one symbol (table G.1)."""
        if self.run:
            size = self.run.bit_length() - 1
            add_ac_symbol(self.out, size << 4)
            self.out.add(self.run - (1 << size), size)
            for bit in self.corrections:
                self.out.add(bit, 1)
        self.run, self.corrections = 0, []


def mcus(width: int, height: int, components: Sequence[Component], scan: Scan) -> list[list[tuple[int, Block]]]:
    """The scan's blocks, with their component, in order (T.81, A.2)."""
    widest, highest = max(it.h for it in components), max(it.v for it in components)
    if len(scan.components) == 1:
        number = scan.components[0]
        it = components[number]
        rows, columns = -(-height * it.v // (8 * highest)), -(-width * it.h // (8 * widest))
        return [[(number, it.blocks[row, column].tolist())] for row in range(rows) for column in range(columns)]
    return [
        [
            (number, components[number].blocks[y * it.v + row, x * it.h + column].tolist())
            for number in scan.components
            for it in [components[number]]
            for row in range(it.v)
            for column in range(it.h)
        ]
        for y in range(-(-height // (8 * highest)))
        for x in range(-(-width // (8 * widest)))
    ]


def scan_bytes(width: int, height: int, components: Sequence[Component], scan: Scan, progressive: bool) -> bytes:
    told = b"".join(bytes((number + 1, 0)) for number in scan.components)
    band = bytes((scan.first, scan.end, scan.high << 4 | scan.low))
    out = segment(0xDD, scan.restart.to_bytes(2, "big")) + segment(0xDA, bytes((len(scan.components),)) + told + band)
    left = iter(mcus(width, height, components, scan))
    pieces = []
    while piece := list(islice(left, scan.restart or None)):
        coder = Coder(scan, progressive)
        for number, block in (it for mcu in piece for it in mcu):
            coder.block(number, block)
        coder.end_bands()
        pieces.append(coder.out.bytes())
    marked = (piece + bytes((0xFF, 0xD0 + number % 8)) for number, piece in enumerate(pieces[:-1]))
    return out + b"".join(marked) + pieces[-1]


def coded(
    width: int,
    height: int,
    components: Sequence[Component],
    script: Sequence[Scan],
    progressive: bool = True,
    between: Callable[[int], bytes] = lambda number: b"",
) -> bytes:
    """A JPEG. between: what stands before the scan of a number."""
    frame = bytes((8,)) + height.to_bytes(2, "big") + width.to_bytes(2, "big") + bytes((len(components),))
    frame += b"".join(bytes((number + 1, it.h << 4 | it.v, 0)) for number, it in enumerate(components))
    head = b"\xff\xd8" + segment(0xDB, b"\0" + bytes(range(1, 65))) + segment(0xC2 if progressive else 0xC1, frame)
    scans = (
        between(number) + scan_bytes(width, height, components, scan, progressive) for number, scan in enumerate(script)
    )
    return head + tables() + b"".join(scans) + b"\xff\xd9"
