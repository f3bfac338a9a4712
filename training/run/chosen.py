"""Which weights a run ends with: what is scored and exported."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from tarn.sharding.errors import TarnError
from tarn.training.run import checkpoint
from tarn.training.run.snapshot import weights_of
from tarn.training.run.trainer import Trainer


@dataclass(frozen=True, slots=True)
class Chosen:
    """kind: last, best or averaged. marker: of the checkpoint that holds the weights."""

    kind: str
    marker: dict[str, Any]

    @property
    def path(self) -> Path:
        return Path(self.marker["path"])

    @property
    def is_averaged(self) -> bool:
        return self.kind == "averaged"

    @property
    def words(self) -> str:
        """For a sentence about a model or score; nothing for what everybody expects."""
        return "" if self.kind == "last" else f" the {self.kind} weights (step {self.marker['step']})"


def choose(trainer: Trainer, say: Callable[[str], object]) -> Chosen:
    """Of the checkpoints up to the step where the trainer stands. say: receives a sentence for a damaged best one.

    Raises TarnError where what config.export asks for is not there.
    """
    folder, kind = Path(trainer.config.out, "checkpoints"), trainer.config.export
    found = [marker for marker in checkpoint.markers(folder) if marker["step"] <= trainer.step]
    if kind != "best":
        marker = next((marker for marker in found if marker["step"] == trainer.step), None)
        if marker is None:
            raise TarnError(f"the checkpoint of step {trainer.step} is gone from {trainer.config.out}: run again.")
        average = trainer.learner.average
        if kind == "averaged" and (average is None or not average.steps):
            raise TarnError(f"{marker['path']} holds no averaged weights, for no step was averaged: set export=last.")
        return Chosen(kind, marker)
    while (best := checkpoint.best_of(found)) is not None:
        problem = checkpoint.damage(best)
        if problem is None:
            return Chosen(kind, dict(best))
        say(f"The best checkpoint {best['path']} {problem}: passed over for the next best.")
        found = [marker for marker in found if marker["step"] != best["step"]]
    raise TarnError(f"no checkpoint in {folder} has a validation score, so none is the best: set export=last.")


def model_of(chosen: Chosen, trainer: Trainer) -> nn.Module:
    """The network with the chosen weights, on the trainer's device: its own where it has them."""
    learner = trainer.learner
    model: nn.Module = learner.model
    if chosen.marker["step"] != trainer.step:
        model = copy.deepcopy(model)
        model.load_state_dict(weights_of(checkpoint.read(chosen.path), chosen.path, chosen.is_averaged))
        return model
    if chosen.is_averaged:
        assert learner.average is not None  # choose() sees to it
        return learner.average.model
    return model
