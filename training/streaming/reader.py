"""One sample, read at its place in a shard: no tar is parsed, the index says where the picture lies."""

import os
from collections import OrderedDict

import numpy as np
from numpy.typing import NDArray

from sharding import storage
from sharding.errors import TarnError
from sharding.manifest import ShardInfo, parse_index

OPEN_SHARDS = 128


class ShardReader:
    """Pictures and labels of one split. Shards are opened when first read, indexes are kept."""

    def __init__(self, root: str, shards: tuple[ShardInfo, ...]) -> None:
        self.root = root
        self.shards = shards
        self.indexes: dict[int, NDArray[np.void]] = {}
        self.descriptors: OrderedDict[int, int] = OrderedDict()

    def read(self, shard: int, place: int) -> tuple[bytes, int]:
        """The picture's bytes and its class index. Raises TarnError where the shard is missing or cut short."""
        record = self.index(shard)[place]
        offset, size, label = int(record["offset"]), int(record["size"]), int(record["label"])
        data = self.read_range(shard, offset, size)
        if len(data) != size:
            raise TarnError(
                f"{self.url(shard)} has {storage.size(self.url(shard))} bytes, its index promises {offset + size}: "
                "the shard was cut short, copy or pack it again."
            )
        return data, label

    def key(self, shard: int, place: int) -> str:
        """The member's name, such as n01440764_18.jpg: it stands in the tar header, 512 bytes before the picture."""
        header = self.read_range(shard, int(self.index(shard)[place]["offset"]) - 512, 100)
        return header.split(b"\0")[0].decode("utf-8", "replace")

    def index(self, shard: int) -> NDArray[np.void]:
        if shard not in self.indexes:
            info = self.shards[shard]
            url = storage.join(self.root, info.index_name)
            records = parse_index(storage.read_bytes(url), url)
            if len(records) != info.samples:
                raise TarnError(
                    f"{url} lists {len(records)} samples, the manifest {info.samples}: pack the dataset again."
                )
            self.indexes[shard] = records
        return self.indexes[shard]

    def url(self, shard: int) -> str:
        return storage.join(self.root, self.shards[shard].name)

    def read_range(self, shard: int, offset: int, size: int) -> bytes:
        path = storage.local_path(self.url(shard))
        if path is None:
            return storage.read_range(self.url(shard), offset, size)
        return os.pread(self.descriptor(shard, str(path)), size, offset)

    def descriptor(self, shard: int, path: str) -> int:
        """An open file, the least recently used one being closed beyond OPEN_SHARDS."""
        if shard in self.descriptors:
            self.descriptors.move_to_end(shard)
            return self.descriptors[shard]
        try:
            self.descriptors[shard] = os.open(path, os.O_RDONLY)
        except OSError as error:
            raise TarnError(f"{path} cannot be read ({error.strerror}): copy or pack the dataset again.") from error
        if len(self.descriptors) > OPEN_SHARDS:
            os.close(self.descriptors.popitem(last=False)[1])
        return self.descriptors[shard]
