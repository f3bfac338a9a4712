"""All indexes of a small split in one file beside the manifest, `<split>.indexes`, one behind the other.

Who starts reads it together with the manifest, in place of an index file for each shard of the first batch: a round
trip less. Nothing depends on it: every index lies beside its tar as well, and the manifest's digests tell whether a
part is right.
"""

import hashlib
from collections.abc import Callable, Sequence

from tarn.sharding import storage
from tarn.sharding.errors import TarnError
from tarn.sharding.format.manifest import ShardInfo, Split

LARGEST = 2**20  # bytes, of about 52,000 samples: of more than these a first batch needs a small part only


def gathered_name(split: str) -> str:
    """Below the manifest's folder."""
    return f"{split}.indexes"


def publish_gathered(root: str, name: str, split: Split, read: Callable[[ShardInfo], bytes]) -> None:
    """For a split that is about to be in the manifest; what an earlier one left is removed. Raises TarnError."""
    url = storage.join(root, gathered_name(name))
    if is_small(split):
        storage.publish(url, b"".join(map(read, split.shards)))
    else:
        storage.remove(url)


def is_small(split: Split) -> bool:
    return sum(shard.index_size for shard in split.shards) <= LARGEST


def lacks_gathered(root: str, name: str, split: Split) -> bool:
    """Whether the file is not there and should be. Raises TarnError."""
    return is_small(split) and not storage.exists(storage.join(root, gathered_name(name)))


def right_parts(raw: bytes, shards: Sequence[ShardInfo]) -> dict[int, bytes]:
    """Index files by the number of the shard: those that are what the manifest says."""
    parts, at = {}, 0
    for number, shard in enumerate(shards):
        part = raw[at : at + shard.index_size]
        at += shard.index_size
        if hashlib.sha256(part).hexdigest() == shard.index_sha256:
            parts[number] = part
    return parts


def check_gathered(root: str, name: str, split: Split) -> str | None:
    """What is wrong with the file, in a sentence; nothing where there is none."""
    url = storage.join(root, gathered_name(name))
    try:
        if not storage.exists(url):
            return None
        raw = storage.read_bytes(url)
    except TarnError as error:
        return str(error)
    if len(right_parts(raw, split.shards)) == len(split.shards):
        return None
    return f"{url} does not hold the indexes of the manifest: remove it (a start is slower without), or copy it again."
