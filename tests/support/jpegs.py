"""JPEGs of every kind that tests need, drawn and coded here."""

import io

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image

SAMPLINGS = ("444", "422", "420", "440", "411", "Gray")


def texture(width: int, height: int, seed: int = 0) -> NDArray[np.uint8]:
    """height x width x 3: coarse colours with fine detail on top, so that every coefficient has work to do."""
    rng = np.random.default_rng([seed, width, height])
    coarse = Image.fromarray(rng.integers(0, 256, (5, 7, 3), np.uint8)).resize(
        (width, height), Image.Resampling.BICUBIC
    )
    noisy = np.asarray(coarse).astype(int) + rng.integers(-40, 41, (height, width, 3))
    return noisy.clip(0, 255).astype(np.uint8)


def jpeg(width: int, height: int, sampling: str = "420", quality: int = 90, seed: int = 0) -> bytes:
    """A baseline JPEG. sampling: one of SAMPLINGS."""
    pixels = texture(width, height, seed)
    if sampling == "Gray":
        return bytes(simplejpeg.encode_jpeg(pixels[..., :1].copy(), quality, "GRAY", "Gray"))
    return bytes(simplejpeg.encode_jpeg(pixels, quality, "RGB", sampling))


def by_pillow(width: int, height: int, mode: str = "RGB", kind: str = "JPEG", **options: object) -> bytes:
    """A picture of any mode and format that Pillow writes."""
    out = io.BytesIO()
    Image.fromarray(texture(width, height)).convert(mode).save(out, kind, **options)
    return out.getvalue()


def pixels(data: bytes | memoryview) -> NDArray[np.uint8]:
    """height x width x 3, as Pillow decodes them."""
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB"))


def segments(data: bytes) -> list[tuple[int, bytes]]:
    """Marker and content of every segment up to the scan."""
    found, at = [], 2
    while True:
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        found.append((data[at + 1], data[at + 4 : at + 2 + length]))
        if data[at + 1] == 0xDA:
            return found
        at += 2 + length
