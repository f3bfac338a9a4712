"""A member's bytes as plain values, by its ending. Nothing is unpickled: what a file says is data, never code."""

import io
import json
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tarn.sharding.jpeg.structure import picture_size
from tarn.sharding.kernel import NoCompilerError
from tarn.sharding.pillow import MOST_BYTES, BrokenPictureError, decoding, open_picture
from tarn.training.pixels.geometry import Size
from tarn.training.streaming.fields.errors import FieldError
from tarn.training.streaming.fields.path import Path

TEXTS = ("txt", "text", "caption", "cls")
ZIP = b"PK\x03\x04"  # what an npz begins with
ONE_CHANNEL = ("1", "L", "P", "I", "I;16")


def read(raw: bytes | memoryview, path: Path, ending: str) -> Any:
    """What json, npy, npz, cls or txt hold, and in it what the path leads to. Raises FieldError."""
    kind = ending.rpartition(".")[2]
    if kind == "json":
        return path.into(read_json(raw))
    if kind in ("npy", "npz"):
        return path.into(read_array(raw))
    return path.into(read_text(raw))


def read_text(raw: bytes | memoryview) -> str:
    try:
        return bytes(raw).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FieldError(f"is no UTF-8 ({error.reason})") from error


def read_json(raw: bytes | memoryview) -> Any:
    try:
        return json.loads(bytes(raw))
    except (ValueError, RecursionError) as error:
        raise FieldError(f"is no JSON ({error})") from error


def read_array(raw: bytes | memoryview) -> NDArray[Any] | Mapping[str, NDArray[Any]]:
    """NumPy's formats, without the pickled objects that they allow (NEP 1)."""
    try:
        if bytes(raw[:4]) == ZIP:
            with zipfile.ZipFile(io.BytesIO(raw)) as packed:
                if (size := sum(info.file_size for info in packed.infolist())) > MOST_BYTES:
                    raise FieldError(f"takes {size:,} bytes unpacked, {MOST_BYTES:,} at most")
        found = np.load(io.BytesIO(raw), allow_pickle=False)
        if isinstance(found, np.ndarray):
            return found
        with found:
            return {name: found[name] for name in found.files}
    except FieldError:
        raise
    except Exception as error:  # a zip or a header of whatever bytes: there is no list of what may be raised
        raise FieldError(f"is no plain array of NumPy's ({' '.join(str(error).split())[:120]})") from error


def read_mask(raw: bytes | memoryview, ending: str) -> NDArray[Any]:
    """h x w, whole numbers: of a picture with one channel (a palette's numbers, not its colours), or of an npy."""
    if ending.rpartition(".")[2] == "npy":
        found = np.asarray(read_array(raw))
        if found.ndim != 2 or not np.issubdtype(found.dtype, np.integer):
            raise FieldError(f"holds {found.dtype} {found.shape}: a mask is h x w whole numbers")
        return found
    try:
        with open_picture(raw) as image:
            if image.mode not in ONE_CHANNEL:
                raise FieldError(f"has the mode {image.mode}: a mask has one channel of numbers (L, P, I or 1)")
            with decoding("damaged pixels"):
                pixels = np.asarray(image)
                return pixels.astype(np.uint8) if pixels.dtype == np.bool_ else pixels
    except BrokenPictureError as error:
        raise FieldError(f"is {error}") from error


def size_of(data: memoryview) -> Size:
    """Height and width of a picture. Raises BrokenPictureError."""
    try:
        width, height = picture_size(data)
    except NoCompilerError:
        width, height = 0, 0
    if width and height:
        return height, width
    with open_picture(data) as image:
        return image.height, image.width
