"""The tars of these tests."""

import tarfile
from pathlib import Path

import pytest

from support.sequential_tars import Picture, members, tar_of, written
from tarn.sharding.format.manifest import read_manifest


@pytest.fixture(scope="session")
def source(shards: Path) -> list[Picture]:
    """The 120 training pictures of the packed dataset."""
    found = []
    for info in read_manifest(str(shards)).split("train").shards:
        with tarfile.open(shards / info.name) as tar:
            data = {member.name: tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]
        names = [name for name in data if not name.endswith(".cls")]
        found += [(name.split(".")[0], data[name], int(data[name.split(".")[0] + ".cls"])) for name in names]
    assert len(found) == 120
    return found


@pytest.fixture(scope="session")
def tars(source: list[Picture], tmp_path_factory: pytest.TempPathFactory) -> str:
    """The pictures in six tars of 20, compressed by the webdataset library."""
    return written(tmp_path_factory.mktemp("tars"), source, 20)


@pytest.fixture(scope="session")
def small(source: list[Picture]) -> bytes:
    """A plain tar of three pictures."""
    return tar_of(pair for key, data, label in source[:3] for pair in members(key, data, label))
