import warnings

import pytest
import torch

from tarn.training.model.resnet import build_model
from tarn.training.recipe.optim import OptimConfig
from tarn.training.recipe.optimizers import build_optimizer
from tarn.training.recipe.schedule import Plateau, learning_rate


def test_norms_and_biases_are_not_decayed_unless_asked() -> None:
    model = build_model("resnet18", 10, seed=0)
    decayed, others = build_optimizer(model, OptimConfig(weight_decay=0.1)).param_groups
    assert {p.ndim for p in decayed["params"]} == {2, 4}
    assert {p.ndim for p in others["params"]} == {1}
    assert (decayed["weight_decay"], others["weight_decay"]) == (0.1, 0.0)
    (everything,) = build_optimizer(model, OptimConfig(decay_norms=True)).param_groups
    assert len(everything["params"]) == len(list(model.parameters()))


def test_cosine_rises_to_the_peak_and_falls_to_the_end() -> None:
    config = OptimConfig(epochs=10, lr=1.0, warmup_epochs=2, lr_end=0.01)
    rates = [learning_rate(config, step, 100) for step in range(1000)]
    assert rates[:200] == sorted(rates[:200])
    assert rates[200] == 1.0 == max(rates)
    assert rates[200:] == sorted(rates[200:], reverse=True)
    assert rates[600] == pytest.approx(0.505)
    assert rates[-1] == pytest.approx(0.01, abs=1e-4)


def test_step_schedule_drops_every_so_many_epochs() -> None:
    config = OptimConfig(schedule="step", lr=0.1, warmup_epochs=0, step_epochs=30, factor=0.1)
    assert [learning_rate(config, epoch * 7, 7) for epoch in (0, 29, 30, 60)] == pytest.approx([0.1, 0.1, 0.01, 0.001])


def test_the_rate_grows_linearly_with_the_batch_where_asked() -> None:
    assert OptimConfig(lr=0.1, lr_for_batch=256, global_batch=1024).peak_lr == pytest.approx(0.4)


def test_plateau_drops_exactly_where_torch_does() -> None:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    theirs = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=3)
    ours = Plateau(factor=0.5, patience=3)
    generator, loss = torch.Generator().manual_seed(1), 5.0
    for _ in range(300):
        loss = loss * 0.999 + float(torch.randn((), generator=generator)) * 0.05
        with warnings.catch_warnings(action="ignore"):
            theirs.step(loss)
        ours.observe(loss)
        assert ours.multiplier == pytest.approx(optimizer.param_groups[0]["lr"], abs=2e-8)  # torch stops at 1e-8
    assert ours.multiplier < 0.1
