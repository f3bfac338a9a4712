"""When a checkpoint is written, and how many stay; checked without torch, which takes seconds to import."""

import math
from dataclasses import dataclass

from tarn.sharding.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointConfig:
    """A checkpoint is written at the end of every epoch, before its validation, and besides as is told here."""

    every_steps: int | None = None
    """Save every so many steps besides; null: not by steps."""
    every_minutes: float | None = 15.0
    """Save every so many minutes besides, by the clock of rank 0; null: not by time."""
    keep_last: int = 3
    """Checkpoints that stay besides the best by validation top-1; at least 2, for the newest may turn out damaged."""

    def __post_init__(self) -> None:
        if self.keep_last < 2:
            raise UsageError(f"checkpoint.keep_last={self.keep_last} must be at least 2: the newest may be damaged.")
        if self.every_steps is not None and self.every_steps < 1:
            raise UsageError(f"checkpoint.every_steps={self.every_steps} must be at least 1, or null.")
        if self.every_minutes is not None and not (self.every_minutes > 0 and math.isfinite(self.every_minutes)):
            raise UsageError(f"checkpoint.every_minutes={self.every_minutes} must be a number above 0, or null.")
