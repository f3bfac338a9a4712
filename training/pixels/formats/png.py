"""PNGs, only as far as the box reaches: rows below it are not inflated, px right of it not made.

Where it is installed, isal inflates (ISA-L, in half of zlib's time); filters are undone by png_rows.c. What is written
at the file's head is for Pillow to understand. Source: PNG 1.2.
"""

import ctypes
import functools
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile

from tarn.sharding.kernel import load_kernel
from tarn.training.pixels.geometry import Box
from tarn.training.pixels.jpeg.region import Region

END = b"\0\0\0\0IEND\xae\x42\x60\x82"
COLOURS = 256  # of a palette
SLICE = 2**15  # bytes that are inflated at a time: their rows stay in the processor's cache
PIXELS = {  # by Pillow's word for how they are stored: bytes of one, and from one of its colours to the next
    "L": (1, 0),
    "P": (1, 0),
    "LA": (2, 0),
    "LA;16B": (4, 0),
    "RGB": (3, 1),
    "RGBA": (4, 1),
    "RGB;16B": (6, 2),
    "RGBA;16B": (8, 2),
}


@functools.cache
def inflater() -> ModuleType:
    """isal's zlib, where it is installed, else Python's."""
    try:
        from isal import isal_zlib
    except ImportError:
        return zlib
    module: ModuleType = isal_zlib
    return module


@functools.cache
def rows_kernel() -> ctypes.CDLL:
    """Compiled at the first use on a machine. Raises NoCompilerError."""
    kernel = load_kernel(Path(__file__).with_name("png_rows.c"))
    pointer, whole = ctypes.c_void_p, ctypes.c_int
    kernel.png_rows.argtypes = [
        *(pointer, ctypes.c_size_t, whole),  # rows, the bytes of one, their number
        *(whole, whole, pointer),  # bytes of one that are needed, a pixel's, the row before
        *(whole, whole, whole),  # rows to skip, px to skip, from colour to colour
        *(pointer, pointer),  # palette, out
    ]
    return kernel


class Png:
    """One whose pixels lie row below row."""

    def __init__(self, data: memoryview, begin: int, size: tuple[int, int], stored: str, palette: bytes | None) -> None:
        self.data, self.begin, self.size = data, begin, size
        self.pixel, self.step = PIXELS[stored]
        self.palette = None if palette is None else filled(palette)

    def region(self, box: Box, scale: int) -> Region | None:
        left, top, right, bottom = box
        needed = right * self.pixel
        out = np.empty((bottom - top, right - left, 3), np.uint8)
        above = np.zeros(needed, np.uint8)
        kernel, row = rows_kernel(), 0
        for count, rows in self.rows(bottom):
            status = kernel.png_rows(
                *(rows, self.size[0] * self.pixel, count, needed, self.pixel, above.ctypes.data),
                *(max(top - row, 0), left, self.step),
                *(None if self.palette is None else self.palette.ctypes.data, out[max(row - top, 0) :].ctypes.data),
            )
            if status:
                return None
            row += count
        return Region(out, left, top) if row == bottom else None

    def rows(self, bottom: int) -> Iterator[tuple[int, bytes]]:
        """The first rows, as many as are asked for and there: so many at a time, and their bytes with others behind."""
        length, pieces, held = self.size[0] * self.pixel + 1, list[bytes](), 0
        for piece in self.inflated():
            pieces.append(piece)
            held += len(piece)
            if held < length:
                continue
            rows = b"".join(pieces)
            count = min(held // length, bottom)
            yield count, rows
            bottom -= count
            if not bottom:
                return
            pieces = [rows[count * length :]]
            held -= count * length

    def inflated(self) -> Iterator[bytes]:
        """What the chunks hold, piece by piece, as far as it is sound."""
        module = inflater()
        stream = module.decompressobj()
        at = self.begin
        while bytes(self.data[at + 4 : at + 8]) == b"IDAT":
            length = int.from_bytes(self.data[at : at + 4])
            end = at + 8 + length
            for start in range(at + 8, end, SLICE):
                try:
                    yield stream.decompress(self.data[start : min(start + SLICE, end)])
                except module.error:
                    return
            at = end + 4


def filled(palette: bytes) -> NDArray[np.uint8]:
    """COLOURS x 3. What a colour is that it does not tell is Pillow's to say."""
    every = Image.frombytes("P", (COLOURS, 1), bytes(range(COLOURS)))
    every.putpalette(palette)
    return np.asarray(every.convert("RGB")).reshape(COLOURS, 3)


def open_png(data: memoryview, image: ImageFile.ImageFile) -> Png | None:
    """Of what Pillow has opened. None for what is none, interlaced, animated, of less than a byte a px, or cut off, and
    where the palette is missing or tells more colours than a byte can choose."""
    if image.format != "PNG" or bytes(data[-len(END) :]) != END or len(image.tile) != 1:
        return None
    _, _, data_at, stored = image.tile[0]
    if (
        not isinstance(stored, str)
        or stored not in PIXELS
        or image.info.get("interlace")
        or image.size != struct.unpack_from(">II", data, 16)
        or getattr(image, "is_animated", False)
    ):
        return None
    palette = None
    if image.mode == "P":
        if image.palette is None or len(image.palette.palette) > COLOURS * 3:
            return None
        palette = bytes(image.palette.palette)
    return Png(data, data_at - 8, image.size, stored, palette)
