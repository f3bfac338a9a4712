from pathlib import Path

import pytest

from sharding.pack import PackConfig, pack
from sharding.sample import SampleConfig, draw_sample


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Kaggle-like tree: 10 classes, 120 train and 40 val pictures. To be read only."""
    out = tmp_path_factory.mktemp("drawn") / "pictures"
    draw_sample(out, SampleConfig(train_per_class=12, val_per_class=4, seed=5), workers=1)
    return out


@pytest.fixture(scope="session")
def shards(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tree packed into several shards a split. To be read only."""
    out = tmp_path_factory.mktemp("packed") / "shards"
    pack(pictures, str(out), PackConfig(shard_size=1_000_000))
    return out
