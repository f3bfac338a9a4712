"""The name of a picture from the header before its bytes, so that keys are known without reading tars whole.

A header is the block before the picture (POSIX ustar). Tars of others may tell longer names in a block or more before
that (POSIX pax, GNU tar), so a few more bytes of those are read.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from tarn.sharding.archives.headers import DamageError, parse, pax_records, shown, text
from tarn.sharding.errors import TarnError
from tarn.sharding.foreign.reading import parted
from tarn.sharding.format.archive import BLOCK, padded
from tarn.sharding.format.manifest import ShardInfo
from tarn.sharding.looking.windows import Range, Windows

OURS, THEIRS = BLOCK, 8 * BLOCK  # bytes before a picture that tell its name


def window_of(offset: int, indexed: bool) -> Range:
    """The bytes before a picture at `offset`; indexed: of a tar that somebody else packed."""
    return max(0, offset - (THEIRS if indexed else OURS)), offset


def name_in(window: bytes, where: str) -> str:
    """Of the picture whose bytes follow the window. Raises TarnError, naming where, for no header."""
    try:
        header = parse(window[-BLOCK:], 0)
        return long_name(window) or header.name
    except DamageError as error:
        raise TarnError(f"{where} has no tar header before a picture of its index ({error}): verify it.") from error


def long_name(window: bytes) -> str | None:
    """What a pax header or a GNU long name, which end where the picture's own header begins, tell."""
    for blocks in range(1, len(window) // BLOCK - 1):
        at = len(window) - (blocks + 2) * BLOCK
        try:
            side = parse(window[at : at + BLOCK], at)
        except DamageError:
            continue
        payload = window[at + BLOCK : at + BLOCK + side.size]
        if side.kind == b"L" and padded(side.size) == blocks * BLOCK:
            return text(payload)
        if side.kind == b"x" and padded(side.size) == blocks * BLOCK:
            return pax_records(payload, at).get("path")
    return None


def keys_of(
    windows: Windows, shard: ShardInfo, records: NDArray[np.void], indexed: bool, rows: list[int] | None = None
) -> Iterator[str]:
    """Keys of a shard's samples, those of the rows given or all, in that order; one small read for each.

    Raises TarnError for a shard that cannot be read or is not the index's.
    """
    offsets = records["offset"].tolist() if rows is None else records["offset"][rows].tolist()
    for window in windows.read(shard.name, (window_of(offset, indexed) for offset in offsets)):
        yield shown(parted(name_in(window, f"{windows.root.rstrip('/')}/{shard.name}"))[0])
