"""Whether a state can be trained from: finite everywhere, and no weight so large that its products overflow."""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

MOMENTS = {"momentum_buffer": "momentum", "exp_avg": "first moment", "exp_avg_sq": "second moment"}
LARGEST = 1e8  # of a weight; no network that learns has such, and squares of sums of them leave float32's range


def divergence(state: Mapping[str, Any]) -> str | None:
    """What has diverged in a trainer's state (as its state_dict()), in words; None where nothing has."""
    for name, tensor in tensors(state):
        if not torch.is_floating_point(tensor) or not tensor.numel():
            continue
        largest = float(tensor.detach().abs().amax())  # NaN where one is
        if not largest < float("inf"):
            return f"{name} is not finite"
        if largest > LARGEST and name.endswith(("weight", "bias")):
            return f"{name} is as large as {largest:.2g}"
    return None


def tensors(state: Mapping[str, Any]) -> Iterator[tuple[str, Tensor]]:
    yield from state.get("model", {}).items()
    for name, tensor in state.get("average", {}).get("model", {}).items():
        yield f"the average's {name}", tensor
    for number, told in state.get("optimizer", {}).get("state", {}).items():
        for name, value in told.items():
            if isinstance(value, Tensor):
                yield f"the {MOMENTS.get(name, name)} of parameter {number}", value
