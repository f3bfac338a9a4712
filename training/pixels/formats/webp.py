"""WebPs by the library that Pillow's own wheel carries, asked for a part: what lies below it is not decoded, what lies
beside it neither filtered nor converted. Where that library is not found, Pillow decodes them whole.

Source: libwebp's header for decoders, whose structures these are, ABI 2.9; the library refuses another major number.
"""

import ctypes
import functools
from pathlib import Path

import numpy as np
import PIL

from tarn.training.pixels.geometry import Box
from tarn.training.pixels.jpeg.region import Region

ABI = 0x0209
TOLD = ((0x20, b"ICCP"), (0x08, b"EXIF"), (0x04, b"XMP "))  # flags in an extended picture's head, and what they promise
MARGIN = 2  # px around the part: chroma at its edge is interpolated from what lies beyond
HEAD, RGB, ANIMATED = 12, 0, 3  # bytes of the RIFF head; a colour space; the place of a feature


class Rows(ctypes.Structure):
    _fields_ = (("pixels", ctypes.c_void_p), ("stride", ctypes.c_int), ("size", ctypes.c_size_t))


class Planes(ctypes.Structure):
    _fields_ = (("planes", ctypes.c_void_p * 4), ("strides", ctypes.c_int * 4), ("sizes", ctypes.c_size_t * 4))


class Memory(ctypes.Union):
    _fields_ = (("rows", Rows), ("planes", Planes))


class Output(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_int) for name in ("colours", "width", "height", "is_external")),
        *(("memory", Memory), ("pad", ctypes.c_uint32 * 4), ("own", ctypes.c_void_p)),
    )


class Options(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_int) for name in ("no_filtering", "no_interpolation", "is_cropped")),
        *((name, ctypes.c_int) for name in ("left", "top", "width", "height")),
        *((name, ctypes.c_int) for name in ("is_scaled", "scaled_width", "scaled_height", "threads")),
        *((name, ctypes.c_int) for name in ("dithering", "flip", "alpha_dithering")),
        ("pad", ctypes.c_uint32 * 5),
    )


class Config(ctypes.Structure):
    _fields_ = (("features", ctypes.c_int * 10), ("output", Output), ("options", Options))


@functools.cache
def library() -> ctypes.CDLL | None:
    packages = Path(PIL.__file__).parent
    for found in (*packages.parent.glob("pillow.libs/libwebp-*.so*"), *packages.glob(".dylibs/libwebp.*.dylib")):
        try:
            from PIL import _webp  # noqa: F401  loads what that library itself needs

            loaded = ctypes.CDLL(str(found))
        except (ImportError, OSError):
            continue
        pointer, size, whole = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int
        loaded.WebPInitDecoderConfigInternal.argtypes = [pointer, whole]
        loaded.WebPGetFeaturesInternal.argtypes = [pointer, size, pointer, whole]
        loaded.WebPDecode.argtypes = [pointer, size, pointer]
        if loaded.WebPInitDecoderConfigInternal(ctypes.byref(Config()), ABI):
            return loaded
    return None


class WebP:
    """A still picture."""

    def __init__(self, data: memoryview, size: tuple[int, int]) -> None:
        self.data, self.size = data, size

    def region(self, box: Box, scale: int) -> Region | None:
        left, top = (max(side - MARGIN, 0) & ~1 for side in box[:2])  # it begins at even px
        right, bottom = (min(side + MARGIN, most) for side, most in zip(box[2:], self.size, strict=True))
        out = np.empty((bottom - top, right - left, 3), np.uint8)
        loaded, config = library(), Config()
        assert loaded is not None
        loaded.WebPInitDecoderConfigInternal(ctypes.byref(config), ABI)
        options, output = config.options, config.output
        options.is_cropped, options.left, options.top = 1, left, top
        options.width, options.height = right - left, bottom - top
        output.colours, output.is_external = RGB, 1
        output.memory.rows = Rows(out.ctypes.data, out.strides[0], out.nbytes)
        source = np.frombuffer(self.data, np.uint8)
        if loaded.WebPDecode(source.ctypes.data, source.nbytes, ctypes.byref(config)):
            return None
        inner = out[box[1] - top : box[3] - top, box[0] - left : box[2] - left]
        return Region(inner, box[0], box[1])


def open_webp(data: memoryview) -> WebP | None:
    """None for what is none, animated or cut off, and where the library is not here."""
    head = bytes(data[:HEAD])
    if head[:4] != b"RIFF" or head[8:] != b"WEBP" or not has_its_chunks(data):
        return None
    loaded = library()
    if loaded is None:
        return None
    features, source = (ctypes.c_int * 10)(), np.frombuffer(data, np.uint8)
    if loaded.WebPGetFeaturesInternal(source.ctypes.data, source.nbytes, features, ABI) or features[ANIMATED]:
        return None
    return WebP(data, (features[0], features[1]))


def has_its_chunks(data: memoryview) -> bool:
    """Whether all of it is there, chunk behind chunk, and among them those that its head promises: of a file that was
    filled up with zeros, they are not. Source: Google's WebP container specification."""
    end, at, names = 8 + int.from_bytes(data[4:8], "little"), HEAD, set[bytes]()
    if end > len(data):
        return False
    while at + 8 <= end:
        names.add(bytes(data[at : at + 4]))
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        at += 8 + size + size % 2
    flags = data[20] if b"VP8X" in names else 0
    return at in (end, end + 1) and all(name in names for flag, name in TOLD if flags & flag)
