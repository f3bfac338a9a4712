"""Settings of the optimizer, its learning rate and its loss."""

import math
from dataclasses import dataclass
from typing import Literal

from tarn.sharding.errors import UsageError

OPTIMIZERS = ("sgd", "adamw", "lamb")
LOSSES = ("cross_entropy", "bce")
CLASS_WEIGHTS = ("none", "balanced")
SCHEDULES = ("cosine", "linear", "triangle", "step", "plateau", "constant")

CHOICES = {"optimizer": OPTIMIZERS, "loss": LOSSES, "class_weights": CLASS_WEIGHTS, "schedule": SCHEDULES}


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimConfig:
    """The optimizer, its learning rate and its loss, and what is made of the weights besides."""

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
    optimizer: str = "sgd"
    """sgd, adamw or lamb; a run cannot change it on its way."""
    momentum: float = 0.9
    """Momentum of sgd."""
    nesterov: bool = True
    """sgd: Nesterov's momentum."""
    betas: tuple[float, float] = (0.9, 0.999)
    """adamw and lamb: how much of the averages of gradients, and of their squares, stays from step to step."""
    eps: float | None = None
    """adamw and lamb: what is added to the divisor; null: 1e-8 for adamw, 1e-6 for lamb."""
    weight_decay: float = 1e-4
    """Of weights; of norms and biases only with decay_norms."""
    decay_norms: bool = False
    """Weight decay on norms and biases too."""
    backbone_lr: float = 1.0
    """Factor of the learning rate of all but the network's last layer, for fine-tuning."""
    clip_norm: float | None = None
    """Gradients whose norm, over all parameters, is larger are scaled down to it; null: never."""
    loss: str = "cross_entropy"
    """cross_entropy, or bce: each class's yes or no by itself, the mean over the classes."""
    label_smoothing: float = 0.0
    """Part of the probability that is spread over all classes."""
    bce_threshold: float | None = None
    """bce: targets above it become 1, all others 0; null: they stay as they are."""
    class_weights: str = "none"
    """none, or balanced: a picture counts n / (classes x pictures of its class)."""
    schedule: str = "cosine"
    """cosine, linear, triangle, step, plateau or constant."""
    warmup_epochs: float = 5.0
    """Epochs in which the rate rises linearly to its peak."""
    warmup_start: float | None = None
    """Factor of the peak where the rise begins; null: a step's part of the rise, for triangle 1e-4."""
    lr_end: float = 0.0
    """Where cosine, linear and triangle end."""
    step_epochs: int = 30
    """step: the rate is multiplied by factor every so many epochs."""
    factor: float = 0.1
    """step and plateau: what the rate is multiplied by."""
    patience: int = 10
    """plateau: epochs without a better validation loss before the rate drops."""
    ema_decay: float | None = None
    """Keep a moving average of the weights, of which so much stays at each update, in the first ones less; null: none.
    It is validated beside the weights, and exported by export=averaged."""
    ema_every: int = 1
    """Steps from one update of the average to the next."""
    early_stop: int | None = None
    """End the run after so many epochs in a row without a better validation top-1, that of the averaged weights where
    export=averaged; null: never."""

    def __post_init__(self) -> None:
        for name in ("epochs", "global_batch", "step_epochs", "ema_every"):
            if getattr(self, name) < 1:
                raise UsageError(f"optim.{name}={getattr(self, name)} must be at least 1.")
        for name in ("max_steps", "lr_for_batch", "early_stop"):
            if getattr(self, name) is not None and getattr(self, name) < 1:
                raise UsageError(f"optim.{name}={getattr(self, name)} must be at least 1, or null.")
        for name in ("weight_decay", "warmup_epochs", "lr_end", "patience"):
            if not 0 <= getattr(self, name) < math.inf:
                raise UsageError(f"optim.{name}={getattr(self, name)} must be a finite number of at least 0.")
        for name in ("eps", "clip_norm", "backbone_lr"):
            if getattr(self, name) is not None and not 0 < getattr(self, name) < math.inf:
                raise UsageError(f"optim.{name}={getattr(self, name)} must be a finite number above 0.")
        for name in ("bce_threshold", "ema_decay"):
            if getattr(self, name) is not None and not 0 <= getattr(self, name) < 1:
                raise UsageError(f"optim.{name}={getattr(self, name)} must be at least 0 and below 1, or null.")
        for name in ("momentum", "label_smoothing"):
            if not 0 <= getattr(self, name) < 1:
                raise UsageError(f"optim.{name}={getattr(self, name)} must be at least 0 and below 1.")
        for name, known in CHOICES.items():
            if getattr(self, name) not in known:
                raise UsageError(f"optim.{name}={getattr(self, name)!r} is unknown: choose one of {', '.join(known)}.")
        if not all(0 <= beta < 1 for beta in self.betas):
            raise UsageError(f"optim.betas={list(self.betas)} must both be at least 0 and below 1.")
        if self.warmup_start is not None and not 0 <= self.warmup_start <= 1:
            raise UsageError(f"optim.warmup_start={self.warmup_start} must be at least 0 and at most 1, or null.")
        if not 0 < self.factor <= 1:
            raise UsageError(f"optim.factor={self.factor} must be above 0 and at most 1.")
        if isinstance(self.micro_batch, int) and self.micro_batch < 1:
            raise UsageError(
                f"optim.micro_batch={self.micro_batch} must be at least 1, auto, or null for the whole share."
            )
        if self.lr <= 0 or not math.isfinite(self.lr):
            raise UsageError(f"optim.lr={self.lr} must be a finite number above 0.")
        if self.lr_end > self.peak_lr and self.schedule in ("cosine", "linear", "triangle"):
            raise UsageError(f"optim.lr_end={self.lr_end} must be at most the peak, {self.peak_lr:g}.")
        if self.nesterov and self.momentum <= 0:
            raise UsageError(f"optim.momentum={self.momentum} must be above 0 with optim.nesterov=true.")
        if self.bce_threshold is not None and self.loss != "bce":
            raise UsageError(f"optim.bce_threshold={self.bce_threshold} needs optim.loss=bce.")

    @property
    def peak_lr(self) -> float:
        return self.lr * (self.global_batch / self.lr_for_batch if self.lr_for_batch else 1)
