"""What can be told without reading a tar: files that are missing or have another size, and indexes that changed."""

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from tarn.sharding import storage
from tarn.sharding.errors import TarnError
from tarn.sharding.foreign.layout import size_of
from tarn.sharding.format.manifest import Manifest, ShardInfo
from tarn.sharding.progress import progress_bar

ASKING = 16  # shards at a time


def check_fast(root: str, manifest: Manifest) -> Iterator[str]:
    """One sentence for each shard that is wrong."""
    shards = [shard for split in manifest.splits.values() for shard in split.shards]
    tars = manifest.shards_root(root)
    with progress_bar(len(shards), "verifying", "shard") as bar, ThreadPoolExecutor(ASKING) as pool:
        for problem in pool.map(lambda shard: look(root, tars, shard), shards):
            bar.update(1)
            if problem is not None:
                yield problem


def look(root: str, tars: str, shard: ShardInfo) -> str | None:
    url, index_url = storage.join(tars, shard.name), storage.join(root, shard.index_name)
    try:
        size, index = size_of(url), storage.read_bytes(index_url)
    except TarnError as error:
        return str(error)
    if size != shard.bytes:
        return f"{url} has {size:,} bytes, the manifest says {shard.bytes:,}."
    if hashlib.sha256(index).hexdigest() != shard.index_sha256:
        return f"{index_url} does not have the SHA-256 of the manifest: copy or pack it again."
    if len(index) != shard.index_size:
        return f"{index_url} is not of {shard.samples:,} samples, as the manifest says."
    return None
