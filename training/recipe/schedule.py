"""Learning rates as functions of the step."""

import math
from dataclasses import dataclass

from tarn.training.recipe.optim import OptimConfig


def learning_rate(config: OptimConfig, step: int, steps_per_epoch: int) -> float:
    """The rate of a step, counted from 0 over the whole run; plateau's drops come on top."""
    warmup = config.warmup_epochs * steps_per_epoch
    if step < warmup:
        return config.peak_lr * (step + 1) / (warmup + 1)
    if config.schedule == "cosine":
        total = config.epochs * steps_per_epoch
        progress = min(1.0, (step - warmup) / max(1.0, total - warmup))
        return config.lr_end + (config.peak_lr - config.lr_end) * (1 + math.cos(math.pi * progress)) / 2
    if config.schedule == "step":
        return config.peak_lr * config.factor ** (step // (config.step_epochs * steps_per_epoch))
    return config.peak_lr


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
