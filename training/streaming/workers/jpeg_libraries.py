"""Which library decodes JPEGs on a device, and whether it can: TorchCodec where it is here, else torchvision."""

import io
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version

import torch
from PIL import Image
from torch import Tensor

Decode = Callable[[list[Tensor], torch.device], list[Tensor]]  # bytes, uint8; pictures, 3 x H x W, uint8

PROBE = (200, 60, 100)  # a colour that a decoder is asked for at the start
NEAR = 8  # levels that it may be off


@dataclass(frozen=True, slots=True)
class JpegLibrary:
    """name: with its version. decode: of a batch, on the CPU or by nvJPEG on a GPU, done when it returns; pictures
    come as they are stored, which for TorchCodec takes bytes that tell no orientation (jpeg_rows.py). Raises
    RuntimeError where one of them is refused.
    """

    name: str
    decode: Decode


def torchcodec() -> JpegLibrary:
    """Its decoders of pictures (0.16 and newer) need no FFmpeg. Raises one of ABSENT where it is not, or of no use."""
    from torchcodec.decoders import decode_jpeg

    def decode(data: list[Tensor], device: torch.device) -> list[Tensor]:
        return list(decode_jpeg(data, mode="RGB", device=device))

    return JpegLibrary(f"torchcodec {version_of('torchcodec')}", decode)


def torchvision() -> JpegLibrary:
    """Raises one of ABSENT once its decoders are gone: 0.29 says that they will be."""
    from torchvision.io import ImageReadMode, decode_jpeg

    def decode(data: list[Tensor], device: torch.device) -> list[Tensor]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            return list(decode_jpeg(data, mode=ImageReadMode.RGB, device=device))

    return JpegLibrary(f"torchvision {version_of('torchvision')}", decode)


LIBRARIES = (torchcodec, torchvision)  # the preferred one first
ABSENT = (ImportError, OSError, RuntimeError, AttributeError)  # not installed, or its binaries do not load


def jpeg_libraries() -> list[JpegLibrary]:
    """Those that are here, the preferred one first."""
    found = []
    for library in LIBRARIES:
        try:
            found.append(library())
        except ABSENT:
            continue
    return found


def usable_library(device: torch.device, libraries: Sequence[JpegLibrary]) -> tuple[JpegLibrary | None, str]:
    """The first that decodes there, or why none does."""
    if device.type == "cuda" and not torch.cuda.is_available():
        return None, "no CUDA device is at hand"
    reasons = []
    for library in libraries:
        reason = why_unusable(device, library.decode)
        if not reason:
            return library, ""
        reasons.append(f"{library.name}: {reason}")
    return None, "; ".join(reasons) or "neither torchcodec nor torchvision decodes JPEGs here"


def why_unusable(device: torch.device, decode: Decode) -> str:
    """Why JPEGs cannot be decoded there; nothing where they can. A picture is decoded for it."""
    try:
        with nothing_else_on(device):
            (picture,) = decode([probe()], device)
            colour = picture.float().mean(dim=(1, 2)).tolist()
    except (RuntimeError, ImportError, AttributeError, TypeError, ValueError) as error:
        return " ".join(str(error).split())[:200]
    if any(abs(got - want) > NEAR for got, want in zip(colour, PROBE, strict=True)):
        return f"a picture of the colour {PROBE} came out as {tuple(round(level) for level in colour)}"
    return ""


@contextmanager
def nothing_else_on(device: torch.device) -> Iterator[None]:
    """The device is idle before and after.

    nvJPEG writes into memory that torch hands out as free by the current stream's queue, and does not wait for that
    queue: torchvision decodes on a stream of its own (pytorch/vision#9606), and a hardware decoder heeds none
    (meta-pytorch/torchcodec#1634). With work in the queue it would write over what is still to be read.
    """
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    yield
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def probe() -> Tensor:
    """A JPEG of one colour, as bytes."""
    buffer = io.BytesIO()
    Image.new("RGB", (48, 32), PROBE).save(buffer, "JPEG", quality=95)
    return torch.frombuffer(bytearray(buffer.getvalue()), dtype=torch.uint8)


def version_of(library: str) -> str:
    """Without what it was built for."""
    return version(library).partition("+")[0]
