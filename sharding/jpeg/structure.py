"""A JPEG's structure, by the C code beside: lossless tiling, and regions cut out of tiled pictures.

Pictures with Huffman codes (ITU-T T.81) of one or three components; those of several scans, progressive ones above all,
become baseline ones of a single scan. Whatever else there is has a reason, and is left as it is. Nothing here decodes a
pixel.
"""

import ctypes
import functools
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from tarn.sharding.kernel import load_kernel
from tarn.sharding.pillow import MOST_PIXELS

Bytes = bytes | bytearray | memoryview
Box = tuple[int, int, int, int]

ROOM = 4  # times the bytes of a picture: a progressive one of few details is that much smaller than a tiled one
SIDE = 40  # px that a tile should be wide: finer ones cost bytes, coarser ones decoding
SOURCES = (
    *("parse.c", "head.c", "metadata.c", "optimal.c", "tile.c", "write.c", "cut.c", "whole.c"),
    *("gather.c", "scan.c", "blocks.c", "coefficients.c"),
)


class Reason(IntEnum):
    """Why a picture was left as it is; the numbers are those of jpeg.h."""

    OK = 0
    NOT_JPEG = 1
    DAMAGED = 2
    PROGRESSIVE = 3
    ARITHMETIC = 4
    LOSSLESS = 5
    PRECISION = 6
    COMPONENTS = 7
    SAMPLING = 8
    SCANS = 9
    TABLES = 10
    TOO_LARGE = 11
    NO_GAIN = 12
    COLOURS = 13
    NO_MEMORY = 14
    INCOMPLETE = 15

    @property
    def words(self) -> str:
        return WORDS[self]


WORDS = {
    Reason.OK: "tiled",
    Reason.NOT_JPEG: "no JPEG",
    Reason.DAMAGED: "damaged, or coded against the standard",
    Reason.PROGRESSIVE: "progressive",
    Reason.ARITHMETIC: "arithmetic coding",
    Reason.LOSSLESS: "lossless or hierarchical",
    Reason.PRECISION: "12 bits",
    Reason.COMPONENTS: "neither 1 nor 3 components",
    Reason.SAMPLING: "unusual chroma sampling",
    Reason.SCANS: "unusual scans",
    Reason.TABLES: "odd tables",
    Reason.TOO_LARGE: "too large",
    Reason.NO_GAIN: "too small to tile",
    Reason.COLOURS: "unusual colours",
    Reason.NO_MEMORY: "no memory",
    Reason.INCOMPLETE: "several scans, and some of them missing",
}


@dataclass(frozen=True, slots=True)
class Region:
    """A standalone JPEG that shows the picture's px from (left, top) on."""

    data: memoryview
    left: int
    top: int


class CBox(ctypes.Structure):
    _fields_ = [(name, ctypes.c_int32) for name in ("left", "top", "right", "bottom")]


@functools.cache
def kernel() -> ctypes.CDLL:
    """Raises NoCompilerError."""
    library = load_kernel(*(Path(__file__).parent / name for name in SOURCES))
    size, pointer = ctypes.c_size_t, ctypes.c_void_p
    sized = ctypes.POINTER(size)
    library.jpeg_tile.argtypes = [pointer, size, size, ctypes.c_int, pointer, size, sized]
    library.jpeg_size.argtypes, library.jpeg_size.restype = [pointer, size], ctypes.c_uint32
    library.jpeg_look.argtypes = [pointer, size]
    library.jpeg_is_ycc.argtypes = [pointer, size]
    library.jpeg_is_whole.argtypes = [pointer, size]
    library.jpeg_has_plain_head.argtypes = [pointer, size]
    library.jpeg_cut.argtypes = [pointer, size, ctypes.POINTER(CBox), pointer, size, sized, ctypes.POINTER(CBox)]
    return library


def address(data: Bytes) -> int | bytes:
    """Of the first byte, as C functions take it. The caller keeps data alive."""
    if isinstance(data, bytes):
        return data
    import numpy as np

    return int(np.frombuffer(data, np.uint8).ctypes.data)


def look(data: Bytes) -> Reason:
    """OK for a picture that can be tiled, as far as its head tells. Raises NoCompilerError."""
    return Reason(kernel().jpeg_look(address(data), len(data)))


def is_whole(data: Bytes) -> bool:
    """Whether it is a baseline picture that goes up to its end marker; none of its codes is read. Raises
    NoCompilerError."""
    return bool(kernel().jpeg_is_whole(address(data), len(data)))


def has_plain_head(jpeg: Bytes) -> bool:
    """Whether nothing stands in front of the pixels that a reader may stumble over, see jpeg.h. Raises
    NoCompilerError."""
    return bool(kernel().jpeg_has_plain_head(address(jpeg), len(jpeg)))


def is_ycc(data: Bytes) -> bool:
    """Whether it is a picture that can be tiled, its colours coded as YCbCr or grey. Raises NoCompilerError."""
    return bool(kernel().jpeg_is_ycc(address(data), len(data)))


def picture_size(data: Bytes) -> tuple[int, int]:
    """Width and height in px of a JPEG, baseline or not; 0, 0 for anything else. Raises NoCompilerError."""
    packed = kernel().jpeg_size(address(data), len(data))
    return packed >> 16, packed & 0xFFFF


def tile(data: Bytes, side: int = SIDE) -> tuple[bytes, Reason]:
    """The picture with restart markers every `side` px or so, a divisor of its width, and Huffman tables of its own:
    the same coefficients and tables of quantisation, hence the same pixels. ICC profile and orientation are kept, other
    metadata and what follows the picture's end are not.

    A picture of several scans, such as a progressive one, becomes a baseline one of a single scan, also where it cannot
    be tiled then: the reason says why. In all other cases where it is not OK, the bytes are what was given. Pictures of
    several scans beyond MOST_PIXELS are left, for all their coefficients are in memory at once, 2 bytes each.

    Raises NoCompilerError.
    """
    import numpy as np

    room = np.empty(ROOM * len(data) + 65536, np.uint8)  # no memory before it is written to: most is never needed
    written = ctypes.c_size_t()
    code = kernel().jpeg_tile(
        address(data), len(data), MOST_PIXELS, side, room.ctypes.data, room.nbytes, ctypes.byref(written)
    )
    return room[: written.value].tobytes() if written.value else bytes(data), Reason(code)


class Cutter:
    """Cuts regions, one after the other, in memory of its own: a region is valid until the next one is cut."""

    def __init__(self) -> None:
        self.kernel = kernel()
        self.room = bytearray(1 << 20)
        self.at = address(self.room)
        self.written, self.box, self.region = ctypes.c_size_t(), CBox(), CBox()
        self.told = [ctypes.byref(it) for it in (self.box, self.written, self.region)]

    def cut(self, data: Bytes, box: Box) -> Region | Reason:
        """The smallest region of whole tiles that decodes to the box's pixels as the picture does.

        box: left, top, right, bottom in px. A reason where the picture is to be decoded whole.
        """
        if len(data) + 64 > len(self.room):
            self.room = bytearray(2 * len(data))
            self.at = address(self.room)
        self.box.left, self.box.top, self.box.right, self.box.bottom = box
        box_at, written_at, region_at = self.told
        code = self.kernel.jpeg_cut(address(data), len(data), box_at, self.at, len(self.room), written_at, region_at)
        if code != Reason.OK:
            return Reason(code)
        return Region(memoryview(self.room)[: self.written.value], self.region.left, self.region.top)
