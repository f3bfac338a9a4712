"""LAMB: Adam whose step is as long as each layer's weights tell."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.optim.optimizer import ParamsT


class Lamb(torch.optim.Optimizer):
    """You et al. 2019, "Large Batch Optimization for Deep Learning" (arXiv 1904.00962), algorithm 2.

    With bias correction and phi(x) = x. Parameters of a group without weight decay take Adam's step as it is, as in the
    implementations that recipes were made with (timm, for "ResNet strikes back", arXiv 2110.00476, and apex): norms and
    biases begin at 0 or 1, and the length of such tells nothing. timm's clips the gradients' global norm to 1 besides:
    that is optim.clip_norm=1. State of a parameter: step (a CPU scalar), exp_avg, exp_avg_sq. Nothing waits for the
    device. eps: added to the root of the second moment.
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-6,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """One step over all parameters that have a gradient. closure: as torch's optimizers take it."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            if parameters := [p for p in group["params"] if p.grad is not None]:
                updates = self.adam(parameters, group)
                if group["weight_decay"] != 0:
                    torch._foreach_add_(updates, parameters, alpha=group["weight_decay"])
                    torch._foreach_mul_(updates, trust(parameters, updates))
                torch._foreach_add_(parameters, updates, alpha=-float(group["lr"]))
        return loss

    def adam(self, parameters: list[Tensor], group: dict[str, Any]) -> list[Tensor]:
        """The direction of Adam's step, its moments brought up to date."""
        states = [self.state[p] for p in parameters]
        for parameter, state in zip(parameters, states, strict=True):
            if not state:
                state["step"] = torch.zeros(())
                state["exp_avg"], state["exp_avg_sq"] = torch.zeros_like(parameter), torch.zeros_like(parameter)
        (beta1, beta2), gradients = group["betas"], [p.grad for p in parameters if p.grad is not None]
        firsts, seconds = ([state[name] for state in states] for name in ("exp_avg", "exp_avg_sq"))
        torch._foreach_lerp_(firsts, gradients, 1 - beta1)
        torch._foreach_mul_(seconds, beta2)
        torch._foreach_addcmul_(seconds, gradients, gradients, 1 - beta2)
        for state in states:
            state["step"] += 1
        steps = [float(state["step"]) for state in states]
        divisors = torch._foreach_sqrt(seconds)
        torch._foreach_div_(divisors, [(1 - beta2**step) ** 0.5 for step in steps])
        torch._foreach_add_(divisors, group["eps"])
        updates = torch._foreach_div(firsts, [1 - beta1**step for step in steps])
        torch._foreach_div_(updates, divisors)
        return list(updates)


def trust(parameters: list[Tensor], updates: list[Tensor]) -> list[Tensor]:
    """Each parameter's length over that of its update, 1 where either is nothing; scalars on the device."""
    lengths, asked = (torch.stack(torch._foreach_norm(tensors)) for tensors in (parameters, updates))
    ratios = torch.where((lengths > 0) & (asked > 0), lengths / asked, torch.ones_like(lengths))
    return list(ratios.unbind())
