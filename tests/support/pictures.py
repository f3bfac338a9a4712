"""Pictures of every format and mode that people have, drawn and coded here."""

import io
import struct
import zlib

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from support.jpegs import by_pillow, texture

SIZES = ((90, 70), (37, 61), (64, 64), (301, 203), (1, 40), (40, 1), (2, 3))


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png(rows: NDArray[np.uint8], width: int, depth: int, colours: int, filters: bytes, pieces: int = 1) -> bytes:
    """rows: height x bytes, each coded by the filter of its place, in turns (PNG 1.2, section 6); its data in so many
    chunks. colours: PNG's number for them."""
    pixel = max(1, {0: 1, 2: 3, 4: 2, 6: 4}[colours] * depth // 8)
    out, above = [], np.zeros(rows.shape[1], int)
    for number, row in enumerate(rows.astype(int)):
        kind = filters[number % len(filters)]
        left, corner = (np.pad(it, (pixel, 0))[: len(row)] for it in (row, above))
        away = [abs(left + above - corner - it) for it in (left, above, corner)]
        near = np.where((away[0] <= away[1]) & (away[0] <= away[2]), left, np.where(away[1] <= away[2], above, corner))
        guess = (0, left, above, (left + above) // 2, near)[kind % 5]  # a number that is none: as the first
        out.append(bytes([kind]) + ((row - guess) & 255).astype(np.uint8).tobytes())
        above = row
    packed = zlib.compress(b"".join(out))
    step = -(-len(packed) // pieces)
    parts = (chunk(b"IDAT", packed[at : at + step]) for at in range(0, len(packed), step))
    head = struct.pack(">IIBBBBB", width, len(rows), depth, colours, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + b"".join(parts) + chunk(b"IEND", b"")


def sixteen_bits(width: int, height: int, colours: int) -> bytes:
    channels = {2: 3, 4: 2, 6: 4}[colours]
    rows = np.random.default_rng([width, height]).integers(0, 256, (height, width * channels * 2), np.uint8)
    return png(rows, width, 16, colours, bytes([4, 3, 1]), 3)


def filtered(width: int, height: int, colours: int, filters: bytes) -> bytes:
    pixels = texture(width, height)
    stored = {0: pixels[..., :1], 2: pixels, 4: pixels[..., :2], 6: np.dstack([pixels, pixels[..., :1]])}[colours]
    return png(stored.reshape(height, -1), width, 8, colours, filters, 2)


def translucent(width: int, height: int, kind: str, **options: object) -> bytes:
    pixels = texture(width, height)
    alpha = np.tile(np.linspace(0, 255, width).astype(np.uint8), (height, 1))
    out = io.BytesIO()
    Image.fromarray(np.dstack([pixels, alpha])).save(out, kind, **options)
    return out.getvalue()


def few_colours(width: int, height: int, colours: int, kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    Image.fromarray(texture(width, height)).quantize(colours).save(out, kind, **options)
    return out.getvalue()


def ycck(width: int, height: int) -> bytes:
    """Adobe's mark tells how four colours are stored: 2 is YCCK (Adobe Technical Note 5116)."""
    data = by_pillow(width, height, "CMYK")
    at = data.index(b"Adobe") + 11
    return data[:at] + b"\2" + data[at + 1 :]


def every_kind(width: int, height: int) -> dict[str, bytes]:
    """By a name, pictures of one size."""
    size = (width, height)
    return {
        "progressive": by_pillow(*size, progressive=True),
        "progressive 444": by_pillow(*size, progressive=True, subsampling=0),
        "progressive grey": by_pillow(*size, "L", progressive=True),
        "progressive RGB": by_pillow(*size, progressive=True, keep_rgb=True),
        "CMYK": by_pillow(*size, "CMYK"),
        "YCCK": ycck(*size),
        **{f"PNG filter {it}": filtered(*size, 2, bytes([it])) for it in range(5)},
        **{f"PNG {it}": filtered(*size, it, bytes([1, 2, 3, 4])) for it in (0, 4, 6)},
        **{f"PNG {it} 16": sixteen_bits(*size, it) for it in (2, 4, 6)},
        "PNG translucent": translucent(*size, "PNG"),
        "PNG palette": few_colours(*size, 200, "PNG"),
        "PNG small palette": few_colours(*size, 9, "PNG"),
        "PNG transparent palette": few_colours(*size, 100, "PNG", transparency=3),
        "PNG 1 bit": by_pillow(*size, "1", "PNG"),
        "PNG 16 grey": by_pillow(*size, "I;16", "PNG"),
        "WebP": by_pillow(*size, kind="WEBP", quality=80),
        "WebP lossless": by_pillow(*size, kind="WEBP", lossless=True),
        "WebP translucent": translucent(*size, "WEBP", quality=80),
        "WebP lossless translucent": translucent(*size, "WEBP", lossless=True),
        "GIF": few_colours(*size, 200, "GIF"),
        "GIF in order": few_colours(*size, 200, "GIF", interlace=0),
        "TIFF": by_pillow(*size, kind="TIFF", compression="tiff_lzw"),
        "TIFF in strips": by_pillow(*size, kind="TIFF", compression="tiff_lzw", tiffinfo={278: 8, 317: 2}),
        "TIFF deflated": by_pillow(*size, kind="TIFF", compression="tiff_adobe_deflate"),
        "TIFF grey": by_pillow(*size, "L", "TIFF", compression="packbits"),
        "TIFF JPEG": by_pillow(*size, kind="TIFF", compression="jpeg"),
        "TIFF CMYK": by_pillow(*size, "CMYK", "TIFF"),
        "BMP": by_pillow(*size, kind="BMP"),
    }
