from pathlib import Path

import pytest

from support.models import export_model


@pytest.fixture(scope="session")
def model(shards: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of 10 classes, 64 px. To be read only."""
    return export_model(shards, tmp_path_factory.mktemp("model"))
