"""Optimizers, and which parameters they decay."""

import torch
from torch import nn

from tarn.training.recipe.optim import OptimConfig


def build_optimizer(model: nn.Module, config: OptimConfig) -> torch.optim.SGD:
    """SGD with momentum; no weight decay on norms and biases (He et al. 2018, arXiv 1812.01187, section 3.1)."""
    decays = (config.weight_decay, 0.0)
    parts = parameter_groups(model, config.decay_norms)
    groups = [{"params": part, "weight_decay": decay} for part, decay in zip(parts, decays, strict=False)]
    return torch.optim.SGD(
        groups, lr=config.peak_lr, momentum=config.momentum, nesterov=config.nesterov and config.momentum > 0
    )


def parameter_groups(model: nn.Module, decay_norms: bool) -> list[list[nn.Parameter]]:
    """What is decayed, then what is not, if anything."""
    decayed = [p for p in model.parameters() if p.ndim > 1 or decay_norms]
    others = [p for p in model.parameters() if p.ndim <= 1 and not decay_norms]
    return [decayed, others] if others else [decayed]
