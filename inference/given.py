"""What people give for a picture: a path, a URL, bytes, or pixels in one library's form or another's."""

import os
import stat
import sys
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol, cast, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tarn.inference.limits import USUAL, Limits, check_size
from tarn.inference.urls import PUBLIC, Reach, fetch
from tarn.sharding import storage
from tarn.sharding.errors import UsageError
from tarn.sharding.pillow import Bytes
from tarn.sharding.storage.local import refuse_special
from tarn.sharding.storage.urls import kind_of
from tarn.training.pixels.decode import PictureDecoder
from tarn.training.pixels.pictures import BrokenPictureError, Pixels
from tarn.training.pixels.preprocessing import Preprocessing

ORIENTATIONS = ("exif", "ignore")
STORES = ("s3", "gs", "az")  # which the program's own credentials open


@runtime_checkable
class Readable(Protocol):
    """An open file."""

    def read(self, most: int, /) -> bytes: ...


@runtime_checkable
class Loadable(Protocol):
    """A picture that has a name, and is read when it is its turn."""

    @property
    def name(self) -> str: ...

    def load(self, most: int, /) -> bytes:
        """Raises TarnError, OSError, BrokenPictureError where it has more than so many bytes."""
        ...


Given = (
    Any  # a Loadable, an open file, a path, a URL, bytes, a Pillow image, a NumPy array, a tensor: what is none is told
)


class Preparer:
    """Makes crop x crop x 3 pixels, those of evaluation, of what is given. Several threads may use it.

    orientation: exif, to see a picture as its Exif says, or ignore, as training does. reach: where URLs may lead.
    Raises UsageError for another orientation.
    """

    def __init__(
        self, how: Preprocessing, orientation: str = "exif", limits: Limits = USUAL, reach: Reach = PUBLIC
    ) -> None:
        if orientation not in ORIENTATIONS:
            raise UsageError(f"--orientation={orientation} is unknown: choose {' or '.join(ORIENTATIONS)}.")
        self.how, self.upright, self.limits, self.reach = how, orientation == "exif", limits, reach
        self.own = threading.local()

    def pixels(self, given: Given) -> Pixels:
        """Raises BrokenPictureError or TarnError for what is no picture, cannot be read or is too large; UsageError for
        what cannot be one."""
        out = np.empty((self.how.crop, self.how.crop, 3), np.uint8)
        self.write(given, out)
        return out

    def write(self, given: Given, out: Pixels) -> None:
        """The same into memory that is there."""
        if (image := image_of(given)) is not None:
            self.limits.check_image(image)
            self.decoder.middle_of_image(image, out, self.how.resize, self.how.interpolation, self.upright)
            return
        data = memoryview(self.bytes_of(given))
        self.limits.check(data)
        self.decoder.evaluate(data, out, self.how, self.upright)

    @property
    def decoder(self) -> PictureDecoder:
        """This thread's."""
        if not hasattr(self.own, "decoder"):
            self.own.decoder = PictureDecoder()
        found: PictureDecoder = self.own.decoder
        return found

    def bytes_of(self, given: Given) -> Bytes:
        if isinstance(given, bytes | bytearray | memoryview):
            return bytes(given)
        if isinstance(given, Readable | Loadable):
            try:
                most = self.limits.bytes
                found: Any = given.load(most) if isinstance(given, Loadable) else given.read(most + 1)
                if isinstance(found, str):
                    raise UsageError(f"{name_of(given, 0)} is open as text: open it by 'rb'.")
                return cast(Bytes, found)
            except UnicodeDecodeError as error:
                raise UsageError(f"{name_of(given, 0)} is open as text: open it by 'rb'.") from error
            except OSError as error:
                raise storage.unreadable(name_of(given, 0), error) from error
        if isinstance(given, str) and "://" in given:
            return self.at_url(given)
        return read_file(Path(given).expanduser(), self.limits.bytes)

    def at_url(self, url: str) -> bytes:
        if self.reach.everywhere:
            return storage.read_bytes(url)
        if kind_of(url) in STORES and "::" not in url:  # that is how fsspec chains one file system behind another
            check_size(storage.size(url), self.limits.bytes)
            return storage.read_bytes(url)
        return fetch(url, self.limits.bytes, self.reach)


def is_one(given: Given) -> bool:
    """Whether it is one picture, and not several. Raises UsageError for what is neither."""
    if isinstance(given, str | os.PathLike | bytes | bytearray | memoryview | Image.Image | Readable | Loadable):
        return True
    if isinstance(given, np.ndarray) or is_tensor(given):
        return len(given.shape) <= 3
    if isinstance(given, Iterable):
        return False
    raise UsageError(f"{type(given).__name__} is no picture: give a path, a URL, bytes, an image, an array, or many.")


def name_of(given: Given, number: int) -> str:
    """For the prediction; number: its place among those that were given, from 0 on."""
    if isinstance(given, str | os.PathLike):
        return os.fspath(given)
    told = getattr(given, "filename", None) or getattr(given, "name", None)  # Pillow's word, and that of files
    return told if isinstance(told, str) and told else f"picture {number}"


def image_of(given: Given) -> Image.Image | None:
    """Of pixels; None for what is to be read first. Raises BrokenPictureError."""
    if isinstance(given, Image.Image):
        return given
    if is_tensor(given):
        given = channels_last(given.detach().cpu().numpy())
    if not isinstance(given, np.ndarray):
        if not is_one(given):
            raise UsageError(f"{type(given).__name__} is not one picture: give what is in it.")
        return None
    is_picture = given.ndim == 2 or (given.ndim == 3 and given.shape[2] == 3)
    if given.dtype != np.uint8 or not is_picture or 0 in given.shape:
        shape = " x ".join(map(str, given.shape))
        raise BrokenPictureError(f"an array of {given.dtype} with the shape {shape}: give uint8, H x W x 3 or H x W")
    return Image.fromarray(np.ascontiguousarray(given))


def is_tensor(given: object) -> bool:
    """PyTorch's; where nobody has imported it, nothing is one."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(given, torch.Tensor)


def channels_last(array: NDArray[Any]) -> NDArray[Any]:
    """3 x H x W, as PyTorch has pictures, to H x W x 3."""
    return array.transpose(1, 2, 0) if array.ndim == 3 and array.shape[0] == 3 else array


def at_once(path: str, flags: int) -> int:
    """Opens a pipe without waiting for its other end."""
    return os.open(path, flags | os.O_NONBLOCK)


def read_file(path: Path, most: int, any_kind: bool = True) -> bytes:
    """any_kind: a pipe or a device too, which may never say anything. Raises TarnError naming it, BrokenPictureError
    where it has more than so many bytes."""
    try:
        with open(path, "rb", opener=None if any_kind else at_once) as file:
            told = os.fstat(file.fileno())
            if not any_kind:
                refuse_special(told)
            check_size(told.st_size, most)
            return file.read() if stat.S_ISREG(told.st_mode) else file.read(most + 1)
    except OSError as error:
        raise storage.unreadable(str(path), error) from error
