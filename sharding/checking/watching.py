"""Pictures as they go by in a stream of a tar's bytes, by the places of its index: no second reading, one picture in
memory."""

from collections.abc import Callable, Iterable, Iterator

import numpy as np
from numpy.typing import NDArray


def watched(pieces: Iterable[bytes], records: NDArray[np.void], look: Callable[[int, bytes], None]) -> Iterator[bytes]:
    """The pieces, unchanged. look: is given the row and the bytes of each picture that went by whole, in tar order."""
    order = np.argsort(records["offset"], kind="stable")
    places = list(zip(order.tolist(), *(records[name][order].tolist() for name in ("offset", "size")), strict=True))
    coming, parts, position = iter(places), list[bytes](), 0
    row, start, size = next(coming, (-1, -1, 0))
    for piece in pieces:
        end = position + len(piece)
        while row >= 0 and start < end:
            begin = start + sum(map(len, parts))
            part = bytes(memoryview(piece)[max(0, begin - position) : start + size - position])
            parts.append(part)
            if begin + len(part) < start + size:
                break
            look(row, b"".join(parts))
            parts = []
            row, start, size = next(coming, (-1, -1, 0))
        position = end
        yield piece
