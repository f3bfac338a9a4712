"""A checkpoint's momentum for an optimizer whose settings may have changed since."""

from typing import Any

import torch
from torch import nn

from tarn.training.recipe.optimizers import set_rate


def restore_momentum(optimizer: torch.optim.Optimizer, model: nn.Module, told: dict[str, Any]) -> None:
    """Takes each parameter's moments (and steps, where there are such) and the last rate from a state_dict of the same
    kind of optimizer, and nothing else: weight decay, momentum, which parameters are decayed, frozen or learn at a rate
    of their own stay as the optimizer was built.

    Raises ValueError where the state belongs to other parameters.
    """
    theirs = [name for group in names_of(told, model) for name in group]
    numbers = [number for group in told["param_groups"] for number in group["params"]]
    if len(numbers) != len(theirs) or set(theirs) - {name for name, _ in model.named_parameters()}:
        raise ValueError("the optimizer of the checkpoint has other parameters")
    states = {name: told["state"].get(number) for name, number in zip(theirs, numbers, strict=True)}
    mine = [name for group in optimizer.param_groups for name in group["param_names"]]
    state = {at: states[name] for at, name in enumerate(mine) if states.get(name) is not None}
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    last = told["param_groups"][-1]
    set_rate(optimizer, last["lr"] / last.get("rate_factor", 1.0))


def names_of(told: dict[str, Any], model: nn.Module) -> list[list[str]]:
    """Names of the parameters of each group."""
    groups = told["param_groups"]
    if all("param_names" in group for group in groups):
        return [group["param_names"] for group in groups]
    named = list(model.named_parameters())  # an older checkpoint: all were learnt, norms and biases in a group behind
    if len(groups) == 1:
        return [[name for name, _ in named]]
    return [[name for name, p in named if p.ndim > 1], [name for name, p in named if p.ndim <= 1]]
