"""LAMB beside the paper's algorithm, in float64."""

import numpy as np
import pytest
import torch

from support.lamb import ByThePaper
from tarn.training.recipe.lamb import Lamb


def test_twenty_steps_are_the_papers_with_and_without_decay() -> None:
    rng = np.random.default_rng(3)
    starts = [rng.normal(size=(4, 3, 2)), rng.normal(size=5), np.zeros((3, 3)), rng.normal(size=(2, 2)) * 1e-3]
    decays = [0.02, 0.0, 0.02, 0.02]
    layers = [torch.tensor(start, requires_grad=True) for start in starts]
    groups = [
        {"params": [p for p, d in zip(layers, decays, strict=True) if d == decay], "weight_decay": decay}
        for decay in (0.02, 0.0)
    ]
    optimizer = Lamb(groups, lr=0.01, betas=(0.9, 0.99))
    papers = [ByThePaper(start, decay, 0.01) for start, decay in zip(starts, decays, strict=True)]
    for _ in range(20):
        for layer, paper in zip(layers, papers, strict=True):
            gradient = rng.normal(size=layer.shape)
            layer.grad = torch.tensor(gradient)
            paper.step(gradient)
        optimizer.step()
    for layer, paper in zip(layers, papers, strict=True):
        np.testing.assert_allclose(layer.detach().numpy(), paper.x, rtol=1e-11, atol=1e-14)


def test_a_parameter_without_gradient_stays_and_keeps_no_state() -> None:
    moved, still = torch.ones(3, requires_grad=True), torch.ones(3, requires_grad=True)
    optimizer = Lamb([moved, still], lr=0.1)
    moved.grad = torch.ones(3)
    optimizer.step()
    assert torch.equal(still, torch.ones(3))
    assert not torch.equal(moved, torch.ones(3))
    assert list(optimizer.state) == [moved]


@pytest.mark.parametrize("scale", [1.0, 1000.0])
def test_a_small_regression_is_solved_whatever_the_scale_of_its_loss(scale: float) -> None:
    generator = torch.Generator().manual_seed(0)
    inputs, wanted = torch.randn(64, 5, generator=generator), torch.randn(5, 2, generator=generator)
    weights = (torch.randn(5, 2, generator=generator) * 0.1).requires_grad_()
    optimizer = Lamb([weights], lr=0.05, weight_decay=1e-4)
    for step in range(400):
        optimizer.param_groups[0]["lr"] = 0.05 * (1 - step / 400)
        optimizer.zero_grad()
        ((inputs @ weights - inputs @ wanted).square().mean() * scale).backward()
        optimizer.step()
    assert (weights - wanted).abs().max() < 0.01
