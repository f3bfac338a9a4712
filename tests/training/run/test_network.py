"""Whether a run's network takes all pictures that the run will show it."""

from pathlib import Path

import pytest

from tarn.sharding.errors import UsageError
from tarn.training.run.config import ModelConfig, RunConfig
from tarn.training.run.network import network_of
from tarn.training.streaming.config import DataConfig


def test_a_network_that_does_not_take_the_first_pictures_that_grow_is_refused(tmp_path: Path) -> None:
    def config(first_size: int) -> RunConfig:
        data = DataConfig(image_size=64, eval_resize=72, first_size=first_size, ramp=(1, 2))
        return RunConfig(out=str(tmp_path), model=ModelConfig(arch="torchvision/squeezenet1_1"), data=data)

    network_of(config(first_size=32), 5)
    with pytest.raises(UsageError, match=r"model\.arch='torchvision/squeezenet1_1' with pictures of 8 px"):
        network_of(config(first_size=8), 5)
