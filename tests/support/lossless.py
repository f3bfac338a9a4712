"""Lossless JPEGs (ITU-T T.81, annex H), which Pillow reads and does not write."""

import struct

import numpy as np
from numpy.typing import NDArray

CATEGORIES = 9  # of differences below 256
LENGTH = 4  # bits of each code: category n has the code n


def lossless_jpeg(grey: NDArray[np.uint8], bits: int = 8) -> bytes:
    """grey: height x width, each below 2 ** bits. Predicted by the px on the left, those of the first column by the px
    above."""
    height, width = grey.shape
    before = np.empty((height, width), np.int64)
    before[:, 1:], before[1:, 0], before[0, 0] = grey[:, :-1], grey[:-1, 0], 1 << (bits - 1)
    told = "".join(coded(int(difference)) for difference in (grey - before).ravel())
    told += "1" * (-len(told) % 8)
    scan = int(told, 2).to_bytes(len(told) // 8, "big").replace(b"\xff", b"\xff\0")
    counts = bytes(CATEGORIES if length == LENGTH else 0 for length in range(1, 17))
    return b"".join(
        (
            b"\xff\xd8",
            segment(0xC3, struct.pack(">BHHB3B", bits, height, width, 1, 1, 0x11, 0)),
            segment(0xC4, b"\0" + counts + bytes(range(CATEGORIES))),
            segment(0xDA, bytes((1, 1, 0, 1, 0, 0))),
            scan,
            b"\xff\xd9",
        )
    )


def segment(kind: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, kind, len(body) + 2) + body


def coded(difference: int) -> str:
    """Category and further bits, as those of a DC coefficient (F.1.2.1)."""
    category = abs(difference).bit_length()
    further = difference if difference >= 0 else difference + (1 << category) - 1
    return f"{category:0{LENGTH}b}" + (f"{further:0{category}b}" if category else "")
