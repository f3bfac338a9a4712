"""Sizes as people write them."""

import re

from tarn.sharding.errors import UsageError

UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "KI": 2**10, "MI": 2**20, "GI": 2**30}


def parse_size(text: str, key: str = "--shard-size", least: int = 1) -> int:
    """Bytes of `100MB`, `64MiB`, `1.5GB` or `1000000`. Raises UsageError naming the key for anything else, and for a
    bare number below `least`, of which somebody left out the unit."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMG]?I?)B?\s*", text.upper())
    if match is None or match[2] not in UNITS or not 1 <= float(match[1]) * UNITS[match[2]] < 2**63:
        raise UsageError(f"{key}={text!r} is not a size: write 100MB, 64MiB or a number of bytes.")
    size = int(float(match[1]) * UNITS[match[2]])
    if size < least and not match[2]:
        told = f"{key}={text} is {counted(size, 'byte')}"
        raise UsageError(f"{told}, less than a sample of {least:,} takes: write its unit, such as 100MB.")
    return size


def counted(number: int, noun: str) -> str:
    """`1 shard`, `2,000 shards`."""
    return f"{number:,} {noun}{'s' * (number != 1)}"
