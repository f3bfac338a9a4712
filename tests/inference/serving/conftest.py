from collections.abc import Iterator
from pathlib import Path

import pytest

from support.services import Running, exported, served


@pytest.fixture(scope="package")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return exported(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="package")
def photographs(pictures: Path) -> list[Path]:
    return sorted(pictures.rglob("*.JPEG"))[:20]


@pytest.fixture(scope="package")
def service(model: Path, photographs: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """With ten samples; a request may have 2 MB and take 2 s."""
    folder = tmp_path_factory.mktemp("service")
    (folder / "samples").mkdir()
    for path in photographs[:10]:
        (folder / "samples" / path.name).write_bytes(path.read_bytes())
    words = (f"--samples={folder / 'samples'}", "--max-bytes=2000000", "--patience=2")
    with served(model, folder, *words) as running:
        yield running
