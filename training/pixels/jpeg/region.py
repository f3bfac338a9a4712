"""Pixels of a box of a baseline JPEG, decoded from the restart intervals that the box touches and no others."""

import ctypes
import functools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tarn.sharding.jpeg import structure
from tarn.sharding.kernel import load_kernel

HERE = Path(__file__).parent
SOURCES = (
    HERE / "region.c",
    HERE / "tiles.c",
    HERE / "huffman.c",
    HERE / "entropy.c",
    HERE / "idct.c",
    HERE / "idct_scaled.c",
    HERE / "rows.c",
    Path(structure.__file__).with_name("parse.c"),
)


@functools.cache
def region_kernel(*defines: str) -> ctypes.CDLL:
    """Compiled at the first use on a machine. REGION_PORTABLE: without intrinsics. Raises NoCompilerError."""
    loaded = load_kernel(*SOURCES, defines=defines)
    pointer, size, integer = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int
    loaded.region_new.restype = pointer
    loaded.region_new.argtypes = []
    loaded.region_free.restype = None
    loaded.region_free.argtypes = [pointer]
    loaded.region_decode.restype = integer
    loaded.region_decode.argtypes = [pointer, pointer, size, *[integer] * 5, pointer, size, pointer]
    return loaded


@dataclass(frozen=True)
class Region:
    """Pixels uint8 [height, width, 3], and where they lie in the picture at scale / 8, in its px."""

    pixels: npt.NDArray[np.uint8]
    left: int
    top: int
    scale: int = 8


class RegionDecoder:
    """Decodes boxes, reusing its memory: one decoder a thread. Calls release the interpreter lock."""

    def __init__(self, *defines: str) -> None:
        self._library = region_kernel(*defines)
        self._context = self._library.region_new()
        if not self._context:
            raise MemoryError("no memory for a JPEG decoder.")

    def __del__(self) -> None:
        if getattr(self, "_context", None):
            self._library.region_free(self._context)

    def decode_into(
        self, jpeg: npt.NDArray[np.uint8], box: tuple[int, int, int, int], scale: int, out: npt.NDArray[np.uint8]
    ) -> tuple[int, tuple[int, int, int, int]]:
        """Decodes box (left, top, right, bottom, full-size px, cut to the picture) at scale / 8 into contiguous out.

        Returns a reason (0: done; otherwise a jpeg_reason of jpeg.h, and the caller decodes in a general way) and the
        left, top, width and height of the output in the scaled picture. out's first height * width * 3 bytes are used.
        """
        place = (ctypes.c_int * 4)()
        reason = self._library.region_decode(
            self._context, jpeg.ctypes.data, jpeg.nbytes, *box, scale, out.ctypes.data, out.nbytes, place
        )
        return reason, (place[0], place[1], place[2], place[3])

    def decode(self, jpeg: bytes, box: tuple[int, int, int, int], scale: int = 8) -> Region | int:
        """The box's pixels at scale / 8, or the reason why this decoder leaves the picture to others.

        Raises ValueError for an empty box or a scale other than 1, 2, 4, 8.
        """
        left, top, right, bottom = box
        if scale not in (1, 2, 4, 8):
            raise ValueError(f"scale is {scale}: expected 1, 2, 4 or 8 (eighths).")
        if left >= right or top >= bottom:
            raise ValueError(f"box {box} is empty: expected left < right and top < bottom.")
        width, height = (-(-(end - start) * scale // 8) + 1 for start, end in ((left, right), (top, bottom)))
        out = np.empty(width * height * 3, np.uint8)
        data = np.frombuffer(jpeg, np.uint8)
        reason, (x, y, columns, rows) = self.decode_into(data, box, scale, out)
        if reason < 0:
            raise ValueError(f"box {box} lies outside the picture.")
        if reason:
            return reason
        return Region(out[: rows * columns * 3].reshape(rows, columns, 3), x, y)
