"""Indexed tars against their manifest: each is read as it was when it was indexed, and must tell the same."""

import hashlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tarn.sharding import storage
from tarn.sharding.errors import TarnError
from tarn.sharding.foreign.classes import numbers_of
from tarn.sharding.foreign.layout import Tar, size_of
from tarn.sharding.foreign.reading import Reading
from tarn.sharding.foreign.repeats import repeats
from tarn.sharding.foreign.scan import Scan, pieces, reader_of, scan
from tarn.sharding.format.manifest import Manifest, ShardInfo, Split, parse_index


def check_indexed(root: str, manifest: Manifest, split: Split, advance: Callable[[int], Any]) -> Iterator[str]:
    """One sentence for each thing that is wrong with a split. advance: told of bytes as they are read."""
    tars = manifest.shards_root(root)
    reader, reading = reader_of(tars), Reading.of(split.packed)
    sound, names = [], []
    for shard in split.shards:
        url, index_url = storage.join(tars, shard.name), storage.join(root, shard.index_name)
        try:
            tar = Tar(shard.name, size_of(url), shard.samples)
            if tar.size != shard.bytes:
                yield f"{url} has {tar.size} bytes, the manifest says {shard.bytes}: copy it again, or index it again."
                continue
            found, index = scan(pieces(tars, tar, reader), tar, reading, advance), storage.read_bytes(index_url)
        except TarnError as error:
            yield str(error)
            continue
        problem = difference(found, index, shard, url, index_url) or misplaced(found, index, manifest, index_url)
        if problem is not None:
            yield problem
        elif found.samples is not None:
            sound.append(found.samples)
            names.append(shard.name)
    for shared in repeats(sound).same:
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


def misplaced(found: Scan, index: bytes, manifest: Manifest, index_url: str) -> str | None:
    """Whether the index holds what the tar holds."""
    samples, numbers = found.samples, numbers_of(manifest.classes)
    if samples is None or samples.problems or any(label not in numbers for label in samples.labels):
        return f"{index_url} is of a tar whose samples cannot be indexed: index the tars again."
    if not np.array_equal(samples.numbered(numbers), parse_index(index, index_url)):
        return f"{index_url} does not hold the places and labels of its tar: index the tars again."
    return None
