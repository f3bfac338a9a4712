"""Indexed tars against their manifest: each is read as it was when it was indexed, and must tell the same."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from tarn.sharding import storage
from tarn.sharding.foreign.labels import Label
from tarn.sharding.foreign.layout import Tar, size_of
from tarn.sharding.foreign.reading import Reading
from tarn.sharding.foreign.repeats import repeats
from tarn.sharding.foreign.samples import Samples
from tarn.sharding.foreign.scan import Scan, scan
from tarn.sharding.format.manifest import ShardInfo, parse_index


def check_tar(
    root: str,
    tars: str,
    shard: ShardInfo,
    reading: Reading,
    numbers: Mapping[Label, int],
    pieces: Iterator[bytes],
    advance: Callable[[int], Any],
) -> tuple[str, Samples | None]:
    """What is wrong with a tar, or its samples. pieces: its bytes; advance: told of them as they are read. numbers: of
    each label's class. Raises TarnError for what cannot be read."""
    url, index_url = storage.join(tars, shard.name), storage.join(root, shard.index_name)
    tar = Tar(shard.name, size_of(url), shard.samples)
    if tar.size != shard.bytes:
        return f"{url} has {tar.size} bytes, the manifest says {shard.bytes}: copy it again, or index it again.", None
    found, index = scan(pieces, tar, reading, advance), storage.read_bytes(index_url)
    problem = difference(found, index, shard, url, index_url) or misplaced(found, index, numbers, index_url)
    return (problem, None) if problem is not None else ("", found.samples)


def check_repeats(tars: str, names: Sequence[str], samples: Sequence[Samples]) -> Iterator[str]:
    """A sentence for each two tars of a split that hold the same samples. names: of the tars."""
    for shared in repeats(samples).same:
        both = " and ".join(names[place] for place in shared.tars)
        yield f"{tars}: {both} hold {shared.count} samples both, such as {shared.key}: remove one of them."


def difference(found: Scan, index: bytes, shard: ShardInfo, url: str, index_url: str) -> str | None:
    """Digests first."""
    if found.samples is None:
        return f"{url}: {found.damage}."
    if found.sha256 != shard.sha256:
        return f"{url} does not have the SHA-256 of the manifest: copy it again, or index it again."
    if hashlib.sha256(index).hexdigest() != shard.index_sha256:
        return f"{index_url} does not have the SHA-256 of the manifest: index the tars again."
    return None


def misplaced(found: Scan, index: bytes, numbers: Mapping[Label, int], index_url: str) -> str | None:
    """Whether the index holds what the tar holds."""
    samples = found.samples
    if samples is None or samples.problems or any(label not in numbers for label in samples.labels):
        return f"{index_url} is of a tar whose samples cannot be indexed: index the tars again."
    if not np.array_equal(samples.numbered(numbers), parse_index(index, index_url)):
        return f"{index_url} does not hold the places and labels of its tar: index the tars again."
    return None
