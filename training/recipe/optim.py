"""Settings of the optimizer and of its learning rate."""

import math
from dataclasses import dataclass
from typing import Literal

from tarn.sharding.errors import UsageError

SCHEDULES = ("cosine", "step", "plateau", "constant")


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimConfig:
    """SGD and its learning rate."""

    epochs: int = 90
    """Passes over the training split."""
    max_steps: int | None = None
    """Stop there, the schedule unchanged: for short looks at a long run."""
    global_batch: int = 256
    """Samples of an optimizer step, over all ranks."""
    micro_batch: int | Literal["auto"] | None = 256
    """The most samples of a rank that go through the network at once; the rest of its share is accumulated. null:
    the whole share; auto: what the GPU's memory holds, halved where it should not be enough later."""
    lr: float = 0.1
    """The peak learning rate."""
    lr_for_batch: int | None = None
    """Where set, lr is that of a global batch of so many, and grows linearly with global_batch (Goyal et al. 2017,
    arXiv 1706.02677, section 2.1)."""
    momentum: float = 0.9
    """Momentum of SGD."""
    nesterov: bool = True
    """Nesterov's momentum."""
    weight_decay: float = 1e-4
    """Of weights; of norms and biases only with decay_norms."""
    decay_norms: bool = False
    """Weight decay on norms and biases too."""
    label_smoothing: float = 0.0
    """Part of the probability that is spread over all classes."""
    schedule: str = "cosine"
    """cosine, step, plateau or constant."""
    warmup_epochs: float = 5.0
    """Epochs in which the rate rises linearly to its peak."""
    lr_end: float = 0.0
    """Where cosine ends."""
    step_epochs: int = 30
    """step: the rate is multiplied by factor every so many epochs."""
    factor: float = 0.1
    """step and plateau: what the rate is multiplied by."""
    patience: int = 10
    """plateau: epochs without a better validation loss before the rate drops."""

    def __post_init__(self) -> None:
        for name in ("epochs", "global_batch", "step_epochs"):
            if getattr(self, name) < 1:
                raise UsageError(f"optim.{name}={getattr(self, name)} must be at least 1.")
        for name in ("max_steps", "lr_for_batch"):
            if getattr(self, name) is not None and getattr(self, name) < 1:
                raise UsageError(f"optim.{name}={getattr(self, name)} must be at least 1, or null.")
        for name in ("weight_decay", "warmup_epochs", "lr_end", "patience"):
            if not 0 <= getattr(self, name) < math.inf:
                raise UsageError(f"optim.{name}={getattr(self, name)} must be a finite number of at least 0.")
        if not 0 <= self.momentum < 1:
            raise UsageError(f"optim.momentum={self.momentum} must be at least 0 and below 1.")
        if not 0 < self.factor <= 1:
            raise UsageError(f"optim.factor={self.factor} must be above 0 and at most 1.")
        if isinstance(self.micro_batch, int) and self.micro_batch < 1:
            raise UsageError(
                f"optim.micro_batch={self.micro_batch} must be at least 1, auto, or null for the whole share."
            )
        if self.schedule not in SCHEDULES:
            raise UsageError(f"optim.schedule={self.schedule!r} is unknown: choose one of {', '.join(SCHEDULES)}.")
        if self.lr <= 0 or not math.isfinite(self.lr):
            raise UsageError(f"optim.lr={self.lr} must be a finite number above 0.")
        if self.nesterov and self.momentum <= 0:
            raise UsageError(f"optim.momentum={self.momentum} must be above 0 with optim.nesterov=true.")
        if not 0 <= self.label_smoothing < 1:
            raise UsageError(f"optim.label_smoothing={self.label_smoothing} must be at least 0 and below 1.")

    @property
    def peak_lr(self) -> float:
        return self.lr * (self.global_batch / self.lr_for_batch if self.lr_for_batch else 1)
