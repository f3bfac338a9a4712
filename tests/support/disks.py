"""Disks that refuse."""

import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager

# for setpriv: permissions hold for root too
NO_MASTER = "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-dac_override,-dac_read_search"


@contextmanager
def full_disk(limit: int) -> Iterator[None]:
    """The kernel refuses what would make any file longer than `limit` bytes."""
    before, writes = resource.getrlimit(resource.RLIMIT_FSIZE), sys.dont_write_bytecode
    sys.dont_write_bytecode = True  # what is imported inside would be kept cut short, for every process to come
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        sys.dont_write_bytecode = writes
