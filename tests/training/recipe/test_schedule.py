"""Schedules, step by step beside torch's and beside published formulas."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, LRScheduler, SequentialLR, StepLR

from tarn.training.recipe.optim import OptimConfig
from tarn.training.recipe.schedule import learning_rate

EPOCHS, STEPS, WARM = 7, 11, 2  # an epoch has STEPS steps


def ours(**settings: Any) -> list[float]:
    config = OptimConfig(epochs=EPOCHS, **{"lr": 0.8, "warmup_epochs": WARM, **settings})
    return [learning_rate(config, step, STEPS) for step in range(EPOCHS * STEPS)]


def by_torch(after: Callable[[torch.optim.Optimizer], LRScheduler], start: float | None = None) -> list[float]:
    """start: factor of the peak where the warm-up begins; None: no warm-up."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.8)
    scheduler = after(optimizer)
    if start is not None:
        warm_up = LinearLR(optimizer, start_factor=start, total_iters=WARM * STEPS)
        scheduler = SequentialLR(optimizer, [warm_up, scheduler], [WARM * STEPS])
    rates = []
    for _ in range(EPOCHS * STEPS):
        rates.append(float(optimizer.param_groups[0]["lr"]))
        optimizer.step()
        scheduler.step()
    return rates


@pytest.mark.filterwarnings("ignore:The epoch parameter")  # torch's own, in SequentialLR
def test_cosine_behind_a_warm_up_with_a_start_is_torchs() -> None:
    theirs = by_torch(lambda optimizer: CosineAnnealingLR(optimizer, (EPOCHS - WARM) * STEPS, eta_min=0.01), 0.01)
    assert ours(schedule="cosine", warmup_start=0.01, lr_end=0.01) == pytest.approx(theirs, rel=1e-9)


@pytest.mark.filterwarnings("ignore:The epoch parameter")
def test_linear_behind_a_warm_up_with_a_start_is_torchs() -> None:
    theirs = by_torch(
        lambda optimizer: LinearLR(optimizer, 1.0, end_factor=0.05, total_iters=(EPOCHS - WARM) * STEPS), 0.2
    )
    assert ours(schedule="linear", warmup_start=0.2, lr_end=0.04) == pytest.approx(theirs, rel=1e-9)


def test_step_is_torchs_by_epochs() -> None:
    theirs = by_torch(lambda optimizer: StepLR(optimizer, 3 * STEPS, gamma=0.3))
    assert ours(schedule="step", warmup_epochs=0, step_epochs=3, factor=0.3) == pytest.approx(theirs, rel=1e-12)


def test_triangle_is_the_ramp_of_ffcv() -> None:
    """Its rates are interpolated between the epochs' and, inside each, between the steps."""
    at_epochs = np.interp(np.arange(EPOCHS + 1), [0, WARM, EPOCHS], [0.8e-4, 0.8, 0])
    theirs = [
        np.interp(step, [0, STEPS], [at_epochs[epoch], at_epochs[epoch + 1]])
        for epoch in range(EPOCHS)
        for step in range(STEPS)
    ]
    assert ours(schedule="triangle") == pytest.approx(theirs, rel=1e-12)
    assert max(ours(schedule="triangle", lr_end=0.1)) == 0.8
    assert ours(schedule="triangle", warmup_start=0.5)[0] == 0.4


def test_linear_is_the_budgeted_schedule() -> None:
    """Li et al. 2019: the rate is the peak times the part of the budget that is left."""
    total = EPOCHS * STEPS
    rates = ours(schedule="linear", warmup_epochs=0)
    assert rates == pytest.approx([0.8 * (total - step) / total for step in range(total)], rel=1e-12)


def test_constant_and_plateau_stay_at_the_peak_once_they_have_risen() -> None:
    for schedule in ("constant", "plateau"):
        rates = ours(schedule=schedule)
        assert rates[: WARM * STEPS] == pytest.approx([0.8 * (step + 1) / (WARM * STEPS + 1) for step in range(22)])
        assert set(rates[WARM * STEPS :]) == {0.8}


def test_a_schedule_does_not_know_where_a_run_is_cut_short() -> None:
    assert ours(schedule="linear", max_steps=20) == ours(schedule="linear")
