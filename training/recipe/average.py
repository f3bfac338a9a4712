"""A moving average of the weights, which often scores better than the weights themselves."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

Tensors = tuple[Tensor, ...] | list[Tensor]


class Average:
    """Exponential moving average of parameters and running statistics (Polyak and Juditsky 1992; Tarvainen and Valpola
    2017, arXiv 1703.01780).

    BatchNorm's statistics are averaged as the weights are, which is what timm and torchvision do: they belong to the
    averaged weights better than the last ones do, and no pass over the data is needed. Update n, from 0, keeps
    min(decay, (1 + n) / (10 + n)) of the average, as TensorFlow's does, so that a short run's is not made of its random
    beginning; the first one takes the weights as they are. every: steps from an update to the next.
    """

    def __init__(self, model: nn.Module, decay: float, every: int = 1) -> None:
        self.decay, self.every = decay, every
        self.averaged = AveragedModel(model, multi_avg_fn=self.blend, use_buffers=True).requires_grad_(False).eval()
        self.steps = self.updates = 0

    @property
    def model(self) -> nn.Module:
        """The network with the averaged weights, in eval mode."""
        return self.averaged.module

    def after_step(self, model: nn.Module) -> None:
        if self.steps % self.every == 0:
            self.averaged.update_parameters(model)
            self.updates += 1
        self.steps += 1

    def blend(self, averaged: Tensors, current: Tensors, number: Tensor | int) -> None:
        """One kind of tensors; whole numbers, such as BatchNorm's count of batches, are taken over."""
        if not torch.is_floating_point(averaged[0]):
            torch._foreach_copy_(averaged, current)
            return
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))  # `number` lies on the device
        get_ema_multi_avg_fn(decay)(averaged, current, number)  # type: ignore[no-untyped-call]

    def state_dict(self) -> dict[str, Any]:
        return {"model": self.model.state_dict(), "steps": self.steps, "updates": self.updates}

    def load_state_dict(self, told: dict[str, Any]) -> None:
        self.model.load_state_dict(told["model"])
        self.steps, self.updates = told["steps"], told["updates"]
        self.averaged.n_averaged.fill_(self.updates)

    def begin_at(self, model: nn.Module) -> None:
        """Anew, from a network's weights: of a checkpoint that has no average."""
        self.load_state_dict({"model": model.state_dict(), "steps": 0, "updates": 0})
