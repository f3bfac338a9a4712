import shutil
from pathlib import Path

import pytest

from support.runs import fit


@pytest.fixture(scope="session")
def whole(shards: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A complete run, to be copied."""
    out = tmp_path_factory.mktemp("fit") / "whole"
    fit(shards, out)
    return out


@pytest.fixture
def copy(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "run"))
