"""The library that reads TIFFs for Pillow, which writes what it thinks of each tag to standard error, without a file's
name: hundreds of lines about sound pictures, in which what we say ourselves would be lost."""

import ctypes
from contextlib import suppress
from pathlib import Path

import PIL


def silence() -> None:
    """In this process. What is wrong with a picture is raised by Pillow all the same. Where the library is not that of
    Pillow's own wheel, it goes on talking."""
    packages = Path(PIL.__file__).parent
    for path in (*packages.parent.glob("pillow.libs/libtiff-*.so*"), *packages.glob(".dylibs/libtiff.*.dylib")):
        with suppress(ImportError, OSError, AttributeError):
            from PIL import _imaging  # noqa: F401  loads what that library itself needs

            library = ctypes.CDLL(str(path))  # the one that Pillow has loaded
            library.TIFFSetErrorHandler(None)
            library.TIFFSetWarningHandler(None)
