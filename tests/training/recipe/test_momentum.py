import copy
from collections import OrderedDict
from typing import Any

import pytest
import torch
from torch import nn

from tarn.training.recipe.momentum import restore_momentum
from tarn.training.recipe.optim import OptimConfig
from tarn.training.recipe.optimizers import build_optimizer, rate_of, set_rate

HEAD = ("fc.1.weight", "fc.1.bias")
MOMENTS = {
    "sgd": {"momentum_buffer"},
    "adamw": {"step", "exp_avg", "exp_avg_sq"},
    "lamb": {"step", "exp_avg", "exp_avg_sq"},
}


def small(width: int = 4) -> nn.Sequential:
    torch.manual_seed(0)
    names = ("conv1", "bn1", "layer1", "layer2", "pool", "fc")
    layers = (nn.Conv2d(3, width, 3, bias=False), nn.BatchNorm2d(width), nn.Conv2d(width, 5, 3), nn.Conv2d(5, 6, 3))
    ends = (nn.AdaptiveAvgPool2d(1), nn.Sequential(nn.Flatten(), nn.Linear(6, 10)))
    return nn.Sequential(OrderedDict(zip(names, (*layers, *ends), strict=True)))


def stepped(model: nn.Sequential, **settings: Any) -> torch.optim.Optimizer:
    """Behind two steps at a rate of 0.003."""
    optimizer = build_optimizer(model, OptimConfig(**settings), HEAD)
    set_rate(optimizer, 0.003)
    images = torch.randn(4, 3, 9, 9, generator=torch.Generator().manual_seed(0))
    for _ in range(2):
        optimizer.zero_grad()
        model(images).square().sum().backward()
        optimizer.step()
    return optimizer


@pytest.mark.parametrize("optimizer", ["sgd", "adamw", "lamb"])
@pytest.mark.parametrize(("before", "after"), [(False, True), (True, False), (False, False)])
def test_settings_changed_on_resume_are_used_and_every_weight_keeps_its_own_momentum(
    optimizer: str, before: bool, after: bool
) -> None:
    model = small()
    first = stepped(model, optimizer=optimizer, decay_norms=before, backbone_lr=0.1 if before else 1.0)
    config = OptimConfig(
        optimizer=optimizer, decay_norms=after, weight_decay=0.25, momentum=0.5, nesterov=False, betas=(0.5, 0.6)
    )
    second = build_optimizer(model, config, HEAD)
    restore_momentum(second, model, first.state_dict())
    for parameter in model.parameters():
        assert second.state[parameter].keys() == MOMENTS[optimizer]
        for name in MOMENTS[optimizer]:
            assert torch.equal(second.state[parameter][name], first.state[parameter][name])
    assert [group["weight_decay"] for group in second.param_groups] == ([0.25] if after else [0.25, 0.0])
    assert rate_of(second) == pytest.approx(0.003)
    for group in second.param_groups:
        if optimizer == "sgd":
            assert (group["momentum"], group["nesterov"]) == (0.5, False)
        else:
            assert group["betas"] == (0.5, 0.6)


@pytest.mark.parametrize("optimizer", ["sgd", "adamw", "lamb"])
def test_a_restored_optimizer_takes_the_step_that_the_first_one_takes(optimizer: str) -> None:
    model = small()
    first = stepped(model, optimizer=optimizer)
    other = copy.deepcopy(model)
    second = build_optimizer(other, OptimConfig(optimizer=optimizer), HEAD)
    restore_momentum(second, other, copy.deepcopy(first.state_dict()))
    for mine, theirs in zip(model.parameters(), other.parameters(), strict=True):
        assert mine.grad is not None
        theirs.grad = mine.grad.clone()
    first.step()
    second.step()
    for mine, theirs in zip(model.parameters(), other.parameters(), strict=True):
        assert torch.equal(mine, theirs)


@pytest.mark.parametrize("decay_norms", [False, True])
def test_momentum_of_a_checkpoint_from_before_parameters_had_names_finds_its_parameters(decay_norms: bool) -> None:
    model = small()
    first = stepped(model, decay_norms=decay_norms)
    told = first.state_dict()
    for group in told["param_groups"]:
        del group["param_names"], group["rate_factor"]
    second = build_optimizer(model, OptimConfig(), HEAD)
    restore_momentum(second, model, told)
    for parameter in model.parameters():
        assert torch.equal(second.state[parameter]["momentum_buffer"], first.state[parameter]["momentum_buffer"])
    assert rate_of(second) == 0.003


def test_parameters_thawed_since_begin_without_momentum_and_others_keep_theirs() -> None:
    model = small()
    model.layer1.requires_grad_(False)
    first = stepped(model)
    model.layer1.requires_grad_(True)
    model.layer2.requires_grad_(False)
    second = build_optimizer(model, OptimConfig(), HEAD)
    restore_momentum(second, model, first.state_dict())
    for name, parameter in model.named_parameters():
        kept = not name.startswith(("layer1", "layer2"))
        assert (parameter in second.state) is kept
        if kept:
            assert torch.equal(second.state[parameter]["momentum_buffer"], first.state[parameter]["momentum_buffer"])


def test_momentum_of_another_network_is_refused() -> None:
    told = stepped(small()).state_dict()
    other = small().append(nn.Linear(10, 2))
    with pytest.raises(ValueError, match="other parameters"):
        restore_momentum(build_optimizer(other, OptimConfig()), other, told | {"param_groups": old(told)})


def old(told: dict[str, Any]) -> list[dict[str, Any]]:
    return [{key: value for key, value in group.items() if key != "param_names"} for group in told["param_groups"]]
