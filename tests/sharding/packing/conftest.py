from collections.abc import Iterator

import fsspec
import pytest


@pytest.fixture
def store() -> Iterator[str]:
    """The URL of a place in this process's memory, empty before and after."""
    url = "memory://packed"
    yield url
    files = fsspec.filesystem("memory")
    if files.exists(url):
        files.rm(url, recursive=True)
