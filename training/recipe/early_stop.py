"""When a run has learnt all that it will."""

import math
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class EarlyStop:
    """Counts the epochs in a row that had no better validation top-1 than the best before (Prechelt 1998, "Early
    Stopping - But When?"). patience: how many end the run; None: no number does. is_averaged: that
    of the averaged weights is followed."""

    patience: int | None
    best: float = -math.inf
    worse: int = 0
    is_averaged: bool = False

    @property
    def figure(self) -> str:
        """What an epoch's figures call it."""
        return "val_ema_top1" if self.is_averaged else "val_top1"

    def observed(self, top1: float | None) -> "EarlyStop":
        """After an epoch; None where its validation gave no score."""
        if top1 is not None and top1 > self.best:
            return replace(self, best=top1, worse=0)
        return replace(self, worse=self.worse + 1)

    @property
    def is_over(self) -> bool:
        return self.patience is not None and self.worse >= self.patience

    def told(self, epoch: int) -> str:
        """One sentence. epoch: the last one, counted from 0."""
        epochs = "one epoch" if self.worse == 1 else f"{self.worse} epochs in a row"
        whose = " of the averaged weights" if self.is_averaged else ""
        return (
            f"The run stopped early at epoch {epoch}: {epochs} without a better validation top-1{whose} than "
            f"{max(0.0, self.best):.2%}. To go on, raise optim.early_stop."
        )
