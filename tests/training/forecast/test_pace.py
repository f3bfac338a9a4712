from dataclasses import replace

import pytest
import torch

from tarn.sharding.errors import TarnError
from tarn.training.forecast.assumptions import CORES, Assumptions
from tarn.training.forecast.pace import COMPILED, CORE_BF16, EAGER, RESNET18, RESNET50, multiply_adds, pace_of
from tarn.training.model.network import Network
from tarn.training.run.config import ModelConfig, RunConfig
from tarn.training.run.speed_config import SpeedConfig
from tarn.training.streaming.config import DataConfig


def network(arch: str = "resnet50", classes: int = 1000, **more: bool) -> torch.nn.Module:
    return Network(arch=arch, num_classes=classes, side=64, **more).build()


def test_what_was_measured_has_the_multiply_adds_that_are_written_beside_it() -> None:
    assert multiply_adds(network(), 224) == pytest.approx(RESNET50, rel=1e-3)
    assert multiply_adds(network("resnet18", 10, blurpool=True), 64) == pytest.approx(RESNET18, rel=1e-3)


def test_multiply_adds_are_those_that_papers_tell() -> None:
    """Forward, in billions: He et al. 2015 (3.8 with its strides, 4.1 in the v1.5 form), Liu et al. 2022 (4.5)."""
    assert multiply_adds(network(), 224) / 3e9 == pytest.approx(4.1, abs=0.05)
    assert multiply_adds(network("torchvision/convnext_tiny"), 224) / 3e9 == pytest.approx(4.5, abs=0.05)


def test_a_frozen_part_takes_no_backward_pass() -> None:
    side = 64
    whole, less = (multiply_adds(network(), side, frozen) for frozen in ((), ("conv1",)))
    outputs = 64 * 32 * 32
    assert whole - less == 2 * outputs * 3 * 7 * 7


def test_a_network_that_was_measured_is_as_fast_as_that_and_others_by_their_multiply_adds() -> None:
    config, told = RunConfig(device="cuda", data=DataConfig(image_size=224)), Assumptions()
    assert pace_of(config, network(), told).rates[224] == pytest.approx(COMPILED.rate, rel=1e-3)
    eager = replace(config, speed=SpeedConfig(compile="off"))
    assert pace_of(eager, network(), told).rates[224] == pytest.approx(EAGER.rate, rel=1e-3)
    half = pace_of(replace(config, data=DataConfig(image_size=128)), network(), told).rates[128]
    assert half / COMPILED.rate == pytest.approx((224 / 128) ** 2, rel=0.01)
    small = pace_of(replace(config, model=ModelConfig(arch="resnet18")), network("resnet18"), told).rates[224]
    assert small / COMPILED.rate == pytest.approx(4.09 / 1.81, rel=0.01)


def test_pictures_that_grow_have_a_pace_for_each_size() -> None:
    data = DataConfig(image_size=64, first_size=32, ramp=(0, 1))
    rates = pace_of(RunConfig(device="cuda", data=data), network("resnet18"), Assumptions()).rates
    assert list(rates) == [32, 64]
    assert rates[32] > rates[64]


def test_a_cpu_trains_by_its_cores_which_its_ranks_share(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tarn.training.forecast.pace.has_bf16", lambda device: True)
    config = RunConfig(device="cpu", amp="bf16", data=DataConfig(image_size=64))
    model = network("resnet18", 10, blurpool=True)
    for told, times in ((Assumptions(cores=1), 1), (Assumptions(cores=6), 6), (Assumptions(cores=6, ranks=2), 3)):
        assert pace_of(config, model, told).rates[64] == pytest.approx(CORE_BF16.rate * times, rel=1e-3)
    slower = pace_of(replace(config, amp="off"), model, Assumptions(cores=1))
    assert slower.rates[64] < CORE_BF16.rate
    assert "float32" in slower.words


def test_cores_are_those_of_this_machine_unless_its_device_is_not_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tarn.training.forecast.pace.device_here", lambda: "cpu")
    monkeypatch.setattr("tarn.training.forecast.pace.available_cores", lambda: 3)
    cpu, gpu = RunConfig(device="auto"), RunConfig(device="cuda")
    assert pace_of(cpu, network("resnet18"), Assumptions()).cores == 3
    assert not pace_of(gpu, network("resnet18"), Assumptions()).is_here
    assert pace_of(gpu, network("resnet18"), Assumptions(ranks=4, hosts=2)).cores == 2 * CORES
    assert pace_of(gpu, network("resnet18"), Assumptions(ranks=4, cores=9)).cores == 9


def test_what_is_told_stands_and_of_what_was_not_measured_nothing_does() -> None:
    told = Assumptions(compute=77.0)
    assert pace_of(RunConfig(device="mps"), network("resnet18"), told).rates == {224: 77.0}
    pace = pace_of(RunConfig(device="mps"), network("resnet18"), Assumptions())
    assert pace.rates == {}
    assert "no mps was measured" in pace.words


def test_a_network_that_cannot_be_counted_is_told() -> None:
    with pytest.raises(TarnError, match=r"multiply-adds at 8 px cannot be counted .* by --compute"):
        multiply_adds(torch.nn.Linear(3, 4), 8)
