"""Learning rates as functions of the step."""

import math
from dataclasses import dataclass

from tarn.training.recipe.optim import OptimConfig


def learning_rate(config: OptimConfig, step: int, steps_per_epoch: int) -> float:
    """The rate of a step, counted from 0 over the whole run; plateau's drops come on top.

    cosine: Loshchilov and Hutter 2016, arXiv 1608.03983, one period. linear: the budget-aware schedule of Li, Yumer and
    Ramanan 2019, arXiv 1905.04753. triangle: the same behind a rise from nearly nothing, the `cyclic` one of FFCV's
    ImageNet recipes (Leclerc et al. 2022, arXiv 2306.12517), whose lr_peak_epoch is warmup_epochs. All end at the
    end of optim.epochs, whatever optim.max_steps is.
    """
    warmup = config.warmup_epochs * steps_per_epoch
    if step < warmup:
        return rising(config, step, warmup)
    if config.schedule in ("cosine", "linear", "triangle"):
        total = config.epochs * steps_per_epoch
        progress = min(1.0, (step - warmup) / max(1.0, total - warmup))
        left = (1 + math.cos(math.pi * progress)) / 2 if config.schedule == "cosine" else 1 - progress
        return config.lr_end + (config.peak_lr - config.lr_end) * left
    if config.schedule == "step":
        return config.peak_lr * config.factor ** (step // (config.step_epochs * steps_per_epoch))
    return config.peak_lr


def rising(config: OptimConfig, step: int, steps: float) -> float:
    """The rate at a step of the linear rise (Goyal et al. 2017, arXiv 1706.02677, section 2.2), which takes `steps`."""
    start = 1e-4 if config.warmup_start is None and config.schedule == "triangle" else config.warmup_start
    if start is None:
        return config.peak_lr * (step + 1) / (steps + 1)
    return config.peak_lr * (start + (1 - start) * step / steps)


@dataclass(slots=True)
class Plateau:
    """The rate's multiplier, dropped when the validation loss stalls: torch's ReduceLROnPlateau as plain numbers.

    Better means below best x (1 - 1e-4); after `patience` worse epochs in a row the next one drops.
    """

    factor: float
    patience: int
    best: float = math.inf
    worse: int = 0
    multiplier: float = 1.0

    def observe(self, loss: float) -> None:
        if loss < self.best * (1 - 1e-4):
            self.best, self.worse = loss, 0
        else:
            self.worse += 1
        if self.worse > self.patience:
            self.multiplier, self.worse = self.multiplier * self.factor, 0
