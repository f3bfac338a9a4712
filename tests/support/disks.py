"""Disks that refuse."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager

# for setpriv: permissions hold for root too
NO_MASTER = "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-dac_override,-dac_read_search"


@contextmanager
def full_disk(limit: int) -> Iterator[None]:
    """The kernel refuses what would make any file longer than `limit` bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
