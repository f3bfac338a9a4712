import pytest

from tarn.training.forecast.assumptions import Assumptions
from tarn.training.forecast.duration import Epoch, in_words, lines, seconds_of, whole
from tarn.training.forecast.pace import Pace
from tarn.training.recipe.optim import OptimConfig
from tarn.training.run.config import RunConfig
from tarn.training.streaming.config import DataConfig

GROWING = DataConfig(first_size=32, image_size=64, ramp=(1, 2))  # two epochs of 32 px, then 64


def test_a_run_takes_what_bounds_each_of_its_epochs() -> None:
    told, pace = Assumptions(ranks=2, decode=100.0), Pace({32: 100.0, 64: 25.0}, "", "cuda", 2)
    epoch = Epoch(1000, 10, network=(30.0, 0.0))
    seconds = seconds_of(epoch, told, pace)
    assert seconds == {"network, first epoch": 30.0, "decoding": 5.0, "training, 32 px": 5.0, "training, 64 px": 20.0}
    config = RunConfig(data=GROWING, optim=OptimConfig(epochs=4, warmup_epochs=1))
    assert whole(config, epoch, seconds) == 30 + 5 + 20 + 20
    stopped = RunConfig(data=GROWING, optim=OptimConfig(epochs=4, warmup_epochs=1, max_steps=25))
    assert whole(stopped, epoch, seconds) == 30 + 5 + 10


def test_the_bottleneck_the_whole_and_what_it_rests_on_are_told() -> None:
    config, told = RunConfig(optim=OptimConfig(epochs=90)), Assumptions(ranks=8)
    text = "\n".join(lines(config, Epoch(1_000_000, 100), told, Pace({224: 1000.0}, "what", "cuda", 64)))
    assert "training, 224 px      125.0 s" in text
    assert "bottleneck: training, 224 px" in text
    assert "the run takes at least 3.1 hours, 25.0 GPU hours: 9,000 steps in 90 epochs" in text
    on_cpus = "\n".join(lines(config, Epoch(1_000_000, 100), told, Pace({224: 1000.0}, "what", "cpu", 64)))
    assert "GPU hours" not in on_cpus


@pytest.mark.parametrize(
    ("seconds", "told"), [(12.4, "12 seconds"), (608, "10.1 minutes"), (36_000, "10.0 hours"), (4e7, "11,111.1 hours")]
)
def test_a_time_is_told_in_its_own_unit(seconds: float, told: str) -> None:
    assert in_words(seconds) == told
