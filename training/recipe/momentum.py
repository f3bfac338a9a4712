"""A checkpoint's momentum for an optimizer whose settings may have changed since."""

from typing import Any

import torch
from torch import nn

from tarn.training.recipe.optimizers import parameter_groups


def restore_momentum(optimizer: torch.optim.SGD, model: nn.Module, told: dict[str, Any]) -> None:
    """Takes each parameter's momentum and the last rate from a state_dict, and nothing else: weight decay, momentum,
    nesterov and which parameters are decayed stay as the optimizer was built.

    Raises ValueError where the state belongs to other parameters.
    """
    decay_norms = len(told["param_groups"]) == 1  # then parameters are numbered in one group
    theirs = [p for group in parameter_groups(model, decay_norms) for p in group]
    numbers = {p: number for number, p in enumerate(theirs)}
    if sum(len(group["params"]) for group in told["param_groups"]) != len(theirs):
        raise ValueError("the optimizer of the checkpoint has other parameters")
    mine = [p for group in optimizer.param_groups for p in group["params"]]
    state = {at: told["state"][numbers[p]] for at, p in enumerate(mine) if numbers[p] in told["state"]}
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    for group in optimizer.param_groups:
        group["lr"] = told["param_groups"][0]["lr"]
