"""A shard's index as its manifest knows it: what changed since tells other labels, and nobody is to believe them."""

import hashlib

import numpy as np
from numpy.typing import NDArray

from tarn.sharding import storage
from tarn.sharding.errors import TarnError
from tarn.sharding.format.manifest import ShardInfo, parse_index


def read_index(root: str, shard: ShardInfo, options: storage.Options = storage.NONE) -> NDArray[np.void]:
    """Records of dtype RECORD, read-only. root: of the manifest. Raises TarnError where it cannot be read, or does not
    have the SHA-256 of the manifest."""
    url = storage.join(root, shard.index_name)
    raw = storage.read_bytes(url, options)
    if hashlib.sha256(raw).hexdigest() != shard.index_sha256:
        raise TarnError(
            f"{url} does not have the SHA-256 of the manifest: repair the dataset, or copy or pack it again."
        )
    return parse_index(raw, url)
