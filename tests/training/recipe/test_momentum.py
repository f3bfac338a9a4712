import pytest
import torch

from tarn.training.model.resnet import build_model
from tarn.training.recipe.momentum import restore_momentum
from tarn.training.recipe.optim import OptimConfig
from tarn.training.recipe.optimizers import build_optimizer


@pytest.mark.parametrize(("before", "after"), [(False, True), (True, False), (False, False)])
def test_settings_changed_on_resume_are_used_and_every_weight_keeps_its_own_momentum(before: bool, after: bool) -> None:
    model = build_model("resnet18", 10, small_stem=True, seed=0)
    first = build_optimizer(model, OptimConfig(decay_norms=before))
    model(torch.randn(4, 3, 32, 32)).square().sum().backward()
    for group in first.param_groups:
        group["lr"] = 0.003
    first.step()
    config = OptimConfig(decay_norms=after, weight_decay=0.25, momentum=0.5, nesterov=False)
    second = build_optimizer(model, config)
    restore_momentum(second, model, first.state_dict())
    for parameter in model.parameters():
        assert torch.equal(second.state[parameter]["momentum_buffer"], first.state[parameter]["momentum_buffer"])
    assert [group["weight_decay"] for group in second.param_groups] == ([0.25] if after else [0.25, 0.0])
    assert {(group["momentum"], group["nesterov"], group["lr"]) for group in second.param_groups} == {
        (0.5, False, 0.003)
    }
