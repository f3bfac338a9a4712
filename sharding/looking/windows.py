"""Small ranges of many places of a tar: from a disk one by one, from a store many at a time."""

import os
from collections.abc import Iterable, Iterator
from itertools import islice

from tarn.sharding import storage
from tarn.sharding.storage.clients import build_client
from tarn.sharding.storage.persistence import PARALLEL, Reader

Range = tuple[int, int]  # first byte, and the one behind the last


class Windows:
    """Of the tars below one root, local or remote."""

    def __init__(self, root: str) -> None:
        self.root = root
        self.reader = None if storage.local_path(root) is not None else Reader(root, build_client(root, {}))

    def read(self, name: str, ranges: Iterable[Range]) -> Iterator[bytes]:
        """The bytes of each range of the tar `name`, in order. Raises TarnError naming the tar."""
        if self.reader is not None:
            coming = iter(ranges)
            while some := list(islice(coming, PARALLEL)):
                yield from self.reader.read_many([(name, start, end) for start, end in some])
            return
        yield from read_local(storage.join(self.root, name), ranges)


def read_local(url: str, ranges: Iterable[Range]) -> Iterator[bytes]:
    path = storage.local_path(url)
    assert path is not None
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise storage.unreadable(url, error) from error
    try:
        for start, end in ranges:
            try:
                data = os.pread(file, end - start, start)
            except OSError as error:
                raise storage.unreadable(url, error) from error
            if len(data) != end - start:
                raise storage.unreadable(url, OSError(f"it ends before byte {end}"))
            yield data
    finally:
        os.close(file)
