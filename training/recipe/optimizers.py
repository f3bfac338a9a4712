"""Optimizers, and which parameters they decay and at which part of the rate."""

from collections.abc import Collection
from typing import Any

import torch
from torch import nn

from tarn.training.recipe.lamb import Lamb
from tarn.training.recipe.optim import OptimConfig

EMBEDDINGS = {"class_token", "pos_embedding", "relative_position_bias_table"}  # torchvision's


def build_optimizer(model: nn.Module, config: OptimConfig, head: Collection[str] = ()) -> torch.optim.Optimizer:
    """SGD with momentum (Sutskever et al. 2013), AdamW (Loshchilov and Hutter 2017, arXiv 1711.05101) or LAMB, of the
    parameters that require a gradient; on NVIDIA's GPUs torch's own take a step in one kernel.

    head: names of the last layer's parameters, which learn at the full rate where others take backbone_lr of it.
    """
    groups, rate = parameter_groups(model, config, head), config.peak_lr
    fused = all(parameter.is_cuda for parameter in model.parameters()) or None
    if config.optimizer == "adamw":
        return torch.optim.AdamW(groups, rate, config.betas, 1e-8 if config.eps is None else config.eps, fused=fused)
    if config.optimizer == "lamb":
        return Lamb(groups, rate, config.betas, 1e-6 if config.eps is None else config.eps)
    nesterov = config.nesterov and config.momentum > 0
    return torch.optim.SGD(groups, rate, config.momentum, nesterov=nesterov, fused=fused)


def parameter_groups(model: nn.Module, config: OptimConfig, head: Collection[str] = ()) -> list[dict[str, Any]]:
    """What is decayed, then what is not: norms and biases (He et al. 2018, arXiv 1812.01187, section 3.1), and what a
    network's authors leave alone too, such as a transformer's embeddings of places (timm's no_weight_decay(); the
    options of torchvision's recipes for its ViT and Swin). Where the backbone has a rate of its own, its two come
    before the head's two. None of them is empty.

    A group's rate_factor is what set_rate() multiplies the rate by; its parameters have their names beside them.
    """
    groups: dict[tuple[bool, bool], list[tuple[str, nn.Parameter]]] = {}
    spared = left_alone(model)
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            is_own = config.backbone_lr == 1 or name in head
            is_decayed = config.decay_norms or (parameter.ndim > 1 and name not in spared)
            groups.setdefault((is_own, not is_decayed), []).append((name, parameter))
    return [
        {
            "params": groups[is_own, is_free],
            "weight_decay": 0.0 if is_free else config.weight_decay,
            "rate_factor": 1.0 if is_own else config.backbone_lr,
        }
        for is_own, is_free in sorted(groups)
    ]


def left_alone(model: nn.Module) -> set[str]:
    """Names of parameters of several dimensions that are not decayed."""
    told = getattr(model, "no_weight_decay", None)
    named = set(told()) if callable(told) else set[str]()
    return named | {name for name, _ in model.named_parameters() if name.rpartition(".")[2] in EMBEDDINGS}


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = rate * group["rate_factor"]


def rate_of(optimizer: torch.optim.Optimizer) -> float:
    """What set_rate() was told last."""
    group = optimizer.param_groups[-1]  # the head's, if it is told apart
    return float(group["lr"]) / float(group["rate_factor"])
