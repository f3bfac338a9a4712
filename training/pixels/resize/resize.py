"""Resizing boxes and windows of decoded pictures straight into a batch (the work is done in resize.c)."""

import ctypes
import functools
import math
from enum import IntEnum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tarn.sharding.errors import TarnError
from tarn.sharding.kernel import load_kernel
from tarn.training.pixels.resize.stretch import LARGEST_SIDE, Stretch, box_stretch


class Filter(IntEnum):
    """ANTIALIAS: triangle over all source pixels of a target pixel, within 1 level of Pillow's BILINEAR.
    EXACT: bit for bit Pillow's. BILINEAR: two taps an axis, as OpenCV's INTER_LINEAR and torchvision's antialias=False.
    BICUBIC: Pillow's BICUBIC, bit for bit (Keys 1981, a = -1/2).
    """

    ANTIALIAS = 0
    EXACT = 1
    BILINEAR = 2
    EXACT_DOWN_FIRST = 3  # Pillow's other order, see exact_filter()
    BICUBIC = 4
    BICUBIC_DOWN_FIRST = 5


@functools.cache
def resize_kernel(*defines: str) -> ctypes.CDLL:
    """Compiled at the first use on a machine. RESIZE_PORTABLE: without intrinsics. Raises NoCompilerError."""
    kernel = load_kernel(Path(__file__).with_name("resize.c"), defines=defines)
    pointer, size, whole, stretch = ctypes.c_void_p, ctypes.c_ssize_t, ctypes.c_int, ctypes.POINTER(Stretch)
    kernel.resizer_new.restype, kernel.resizer_new.argtypes = pointer, []
    kernel.resizer_free.restype, kernel.resizer_free.argtypes = None, [pointer]
    kernel.resize_rgb.restype = whole
    kernel.resize_rgb.argtypes = [
        *(pointer, pointer, size, whole, whole),  # memory; source, its row stride, width and height
        *(stretch, stretch),  # across, down
        *(pointer, size, whole, whole),  # target, its row stride, width and height
        *(whole, whole),  # filter, flip
    ]
    return kernel


@functools.cache
def pillow_reorders() -> bool:
    """Whether the Pillow that is installed reduces rows before columns in some cases, as it does from version 13 on."""
    probe = (np.arange(40 * 4 * 3, dtype=np.uint32) * 2654435761 >> 24).astype(np.uint8).reshape(40, 4, 3)
    ours = np.empty((7, 9, 3), np.uint8)
    Resizer().resize(probe, (0, 0, 4, 40), ours, Filter.EXACT)
    theirs = np.asarray(Image.fromarray(probe).resize((9, 7), Image.Resampling.BILINEAR))
    return not np.array_equal(ours, theirs)


def exact_filter(width: int, height: int, out_width: int, out_height: int, interpolation: str = "bilinear") -> Filter:
    """The filter that gives the installed Pillow's values, of BILINEAR or BICUBIC, for a picture of width x height px
    (a box: the pixels that it touches). Intermediate values are rounded, hence the order of directions shows. Source:
    Pillow 13, Resample.c.
    """
    fewer_rows = height - out_height
    down_first = fewer_rows > 0 and fewer_rows > 2 * (width - out_width)
    reordered = down_first and pillow_reorders()
    if interpolation == "bicubic":
        return Filter.BICUBIC_DOWN_FIRST if reordered else Filter.BICUBIC
    return Filter.EXACT_DOWN_FIRST if reordered else Filter.EXACT


class Resizer:
    """Resizes with memory of its own, which grows to what the largest picture takes: one for each thread."""

    def __init__(self, *defines: str) -> None:
        self._kernel = resize_kernel(*defines)
        self._memory = self._kernel.resizer_new()
        if not self._memory:
            raise MemoryError("no memory for a resizer")

    def __del__(self) -> None:
        if getattr(self, "_memory", None):
            self._kernel.resizer_free(self._memory)

    def resize(
        self,
        source: NDArray[np.uint8],
        box: tuple[float, float, float, float],
        target: NDArray[np.uint8],
        filter: Filter = Filter.ANTIALIAS,
        flip: bool = False,
    ) -> None:
        """Fills target (H x W x 3, uint8) with the box (left, top, width, height; px) of source (h x w x 3, uint8).

        A box may begin and end within pixels; pixels it does not touch have no part in the outcome, as if the picture
        had been cropped first. Raises TarnError for a box that is empty or not within source. Else as resample().
        """
        left, top, width, height = box
        right, bottom = left + width, top + height
        if not (0 <= left < right <= source.shape[1] and 0 <= top < bottom <= source.shape[0]):
            raise TarnError(
                f"The box (left, top, width, height) {box} cannot be resized: it must hold pixels, and lie within the "
                f"picture of {source.shape[1]} x {source.shape[0]} px."
            )
        touched = source[int(top) : math.ceil(bottom), int(left) : math.ceil(right)]
        across, down = box_stretch(left, width, target.shape[1]), box_stretch(top, height, target.shape[0])
        self.resample(touched, across, down, target, filter, flip)

    def resample(
        self,
        source: NDArray[np.uint8],
        across: Stretch,
        down: Stretch,
        target: NDArray[np.uint8],
        filter: Filter,
        flip: bool = False,
    ) -> None:
        """Fills target (H x W x 3, uint8) by stretching source (h x w x 3, uint8), the pixels given, both ways.

        Rows of either may lie apart, pixels and channels may not. The interpreter lock is released meanwhile. Raises
        TarnError for stretches that are none, or need pixels that are not given.
        """
        for name, pixels in (("source", source), ("target", target)):
            if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8 or pixels.strides[1:] != (3, 1):
                raise TarnError(
                    f"The {name} of a resizing is {pixels.dtype} {pixels.shape} with strides {pixels.strides}: "
                    "rows of uint8 RGB pixels side by side are needed, H x W x 3."
                )
        if not target.flags.writeable:
            raise TarnError("The target of a resizing is read-only: pass memory that can be written.")
        height, width = source.shape[:2]
        status = self._kernel.resize_rgb(
            *(self._memory, source.ctypes.data, source.strides[0], width, height),
            *(across, down),
            *(target.ctypes.data, target.strides[0], target.shape[1], target.shape[0]),
            *(int(filter), flip),
        )
        if status == 2:
            raise MemoryError(f"no memory to resize {width} x {height} px")
        if status:
            raise TarnError(
                f"{width} x {height} px cannot be resized to {target.shape[1]} x {target.shape[0]}: both must hold "
                f"pixels, all that the target needs must be given, and sides be at most {LARGEST_SIDE:,} px."
            )
