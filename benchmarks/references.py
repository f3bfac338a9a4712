"""What Pillow and torchvision make of a file, for benchmarks/judging.py."""

import hashlib
import io
import warnings

import numpy as np
import simplejpeg
import torch
import torchvision
from numpy.typing import NDArray
from PIL import Image, ImageFile

from tarn.sharding.jpeg.structure import Reason, look
from tarn.sharding.pillow import FORMATS, MOST_PIXELS
from tarn.sharding.segments import frame

Pixels = NDArray[np.uint8]


def by_pillow(data: bytes) -> tuple[str, str, Pixels | None]:
    """Kind, what Pillow makes of it as torchvision's loader asks it, and the RGB where that is read."""
    kind = "no picture"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data)) as image:
                kind = kind_of(image, data)
                if image.width * image.height > MOST_PIXELS:
                    return kind, "too large", None
                return kind, "reads", np.asarray(image.convert("RGB"))
    except Image.DecompressionBombError:
        return kind, "too large", None
    except Exception:
        return kind, "refuses", None


def by_forgiving_pillow(data: bytes) -> Pixels | None:
    """The RGB as far as it is there, where Pillow is told to bear with damage."""
    before, ImageFile.LOAD_TRUNCATED_IMAGES = ImageFile.LOAD_TRUNCATED_IMAGES, True
    try:
        return by_pillow(data)[2]
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = before


def by_libjpeg(data: bytes) -> Pixels | None:
    """The RGB of libjpeg-turbo, which looks at no segment that it does not need; None for what is no JPEG of 8 bits."""
    try:
        return np.asarray(simplejpeg.decode_jpeg(data)) if precision(data) == 8 else None
    except Exception:
        return None


def precision(jpeg: bytes) -> int:
    """Bits of a sample."""
    at = frame(jpeg) if jpeg[:2] == b"\xff\xd8" else 0
    return jpeg[at + 4] if at else 0


def kind_of(image: Image.Image, data: bytes) -> str:
    told = str(image.format)
    if told in ("JPEG", "MPO"):
        reason = look(data)
        return f"JPEG, {'baseline' if reason == Reason.OK else reason.words}"
    return told if told in FORMATS else f"other ({told})"


def by_torchvision(data: bytes) -> str | None:
    """The digest of what its own decoder gives as RGB, None where it refuses. It may take its process along."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            raw = torch.frombuffer(bytearray(data), dtype=torch.uint8)
            found = torchvision.io.decode_image(raw, torchvision.io.ImageReadMode.RGB).permute(1, 2, 0).numpy()
    except Exception:
        return None
    return digest(found)


def digest(pixels: Pixels) -> str:
    return f"{pixels.shape} {hashlib.sha256(pixels.tobytes()).hexdigest()}"
