"""Memory shared with child processes. It has no name, so nothing is left of it when the last process ends."""

import mmap
import os
import tempfile


def anonymous_file(size: int) -> int:
    """A descriptor of so many zero bytes, for mmap and for passing to children; the caller closes it.

    Memory of the kernel where it has memfd_create (Linux; no limit of /dev/shm applies), else an unlinked file.
    """
    if hasattr(os, "memfd_create"):
        file = os.memfd_create("tarn", 0)  # without MFD_CLOEXEC: Popen's pass_fds decides what a child gets
        os.set_inheritable(file, False)
    else:
        with tempfile.TemporaryFile() as temporary:
            file = os.dup(temporary.fileno())
    os.ftruncate(file, size)
    return file


def mapped(file: int, size: int, offset: int = 0) -> mmap.mmap:
    """offset: a multiple of mmap.ALLOCATIONGRANULARITY."""
    return mmap.mmap(file, size, offset=offset)


def page_aligned(size: int) -> int:
    return -(-size // mmap.ALLOCATIONGRANULARITY) * mmap.ALLOCATIONGRANULARITY
