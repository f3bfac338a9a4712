"""When a run saves, and what: during an epoch, at its end before the validation, and when it is asked to leave."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

from tarn.sharding.errors import TarnError
from tarn.sharding.format.manifest import Manifest
from tarn.training.coercion import to_yaml
from tarn.training.recipe.early_stop import EarlyStop
from tarn.training.run import checkpoint
from tarn.training.run.interruption import Interruption, Left
from tarn.training.run.journal import Figures, Journal
from tarn.training.run.soundness import divergence
from tarn.training.run.trainer import Trainer
from tarn.training.world.world import World

T = TypeVar("T")


def main_does(world: World, action: Callable[[], object]) -> None:
    """Rank 0 acts, all ranks wait, and raise what it raised: nobody goes on beside a failure."""
    main_finds(world, action)


def main_finds(world: World, action: Callable[[], T]) -> T:
    """The same for what rank 0 finds out, which all ranks are told."""
    found: object = None
    if world.is_main:
        try:
            found = action()
        except (TarnError, Left) as error:
            found = error
    found = world.gather(found)[0]
    if isinstance(found, Exception):
        raise found
    return cast(T, found)


class Keeper:
    """Keeps a run's checkpoints. told: the checkpoint that the run goes on from, if any."""

    def __init__(
        self, trainer: Trainer, manifest: Manifest, journal: Journal, stop: Interruption, told: dict[str, Any] | None
    ) -> None:
        self.trainer, self.manifest, self.journal, self.stop = trainer, manifest, journal, stop
        self.folder = Path(trainer.config.out, "checkpoints")
        self.saved_step = trainer.step if told else -1
        self.saved_at = time.monotonic()
        self.figures: Figures | None = None  # of the validation of the step where the trainer stands
        self.sees_alike = True  # as that validation did
        if told:
            self.figures = told["marker"].get("figures") or told.get("metrics") or None

    def measure_anew(self) -> None:
        """Where validation sees otherwise than before the start: earlier scores are no measure for those to come."""
        self.sees_alike = False
        self.trainer.measure_anew()

    @property
    def is_pending(self) -> bool:
        """Whether the trainer stands at an end that was not validated and told yet."""
        return self.trainer.is_at_end and self.trainer.stream.samples > 0 and self.figures is None

    @property
    def is_validated(self) -> bool:
        """Whether the trainer stands at an end that was validated, which a killed run may not have told."""
        return self.trainer.is_at_end and self.trainer.stream.samples > 0 and self.figures is not None

    @property
    def is_complete(self) -> bool:
        """Whether nothing is left to be trained or validated."""
        trainer = self.trainer
        if self.is_pending or trainer.step >= trainer.last_step:
            return not self.is_pending
        return self.early_stop.is_over

    @property
    def early_stop(self) -> EarlyStop:
        """The trainer's, with the validation that it turns to the next epoch by."""
        early_stop, figures = self.trainer.early_stop, self.figures
        return early_stop.observed(figures.get(early_stop.figure)) if self.is_validated and figures else early_stop

    def after_step(self) -> None:
        """Saves where it is time to. Raises Left, on all ranks, where one was asked to leave; all is saved then."""
        trainer, config = self.trainer, self.trainer.config.checkpoint
        self.figures = None
        minutes = (time.monotonic() - self.saved_at) / 60
        is_time = trainer.world.is_main and config.every_minutes is not None and minutes >= config.every_minutes
        if trainer.world.any(self.stop.asked is not None or is_time):
            if trainer.world.any(self.stop.asked is not None):
                self.save()
                raise Left
            is_time = True
        if not trainer.is_at_end and (is_time or (config.every_steps and trainer.step % config.every_steps == 0)):
            self.save()

    def end_epoch(self) -> None:
        """Saves, then validates and tells; what was done before a run was left is not done again."""
        trainer = self.trainer
        if self.saved_step != trainer.step:
            self.save()
        if self.figures is None:
            figures = trainer.epoch_figures(self.journal, self.stop.leave_if_any_asked)
            told = {"top1": figures.get("val_top1"), "figures": figures, "view": trainer.view}
            main_does(
                trainer.world, lambda: checkpoint.add_to_marker(checkpoint.path_of(self.folder, trainer.step), told)
            )
            self.figures = figures
        self.journal.end_epoch(trainer.step, self.figures)
        trainer.turn(self.figures if self.sees_alike else None)
        self.sees_alike = True

    def save(self) -> None:
        """Rank 0 writes, all ranks wait. Raises TarnError where the disk refuses, or what was learnt has diverged."""
        started, trainer = time.perf_counter(), self.trainer
        trainer.log(self.journal)  # so that the figures of steps since the last line are in the checkpoint
        with trainer.watch.stopped():
            state = trainer.state_dict()
            main_does(trainer.world, lambda: self.write(state))
        self.saved_step, self.saved_at = trainer.step, time.monotonic()
        self.journal.record("checkpoint", trainer.step, {"seconds": time.perf_counter() - started})

    def write(self, state: dict[str, Any]) -> None:
        trainer = self.trainer
        problem = divergence(state)
        if problem is not None:
            raise TarnError(
                f"the model has diverged by step {trainer.step} ({problem}): nothing of it is saved, "
                f"{checkpoint.what_stays(self.folder, trainer.step)}; lower optim.lr={trainer.config.optim.lr}, "
                "lengthen optim.warmup_epochs, or see to the data."
            )
        payload = {"trainer": state, **describe(trainer, self.manifest)}
        told: dict[str, Any] = {"epoch": trainer.stream.epoch, "top1": None}
        if trainer.config.optim.micro_batch == "auto":
            plan = trainer.train_loader.plan
            told["room"] = [plan.part_size, trainer.learner.memory.pieces, trainer.config.data.image_size]
        checkpoint.save(self.folder, trainer.step, payload, told)
        checkpoint.retain(self.folder, trainer.config.checkpoint.keep_last, trainer.step)


def describe(trainer: Trainer, manifest: Manifest) -> dict[str, Any]:
    """What an export needs besides the weights; the marker has the validation."""
    config = trainer.config
    return {
        "config": to_yaml(config),
        "arch": config.model.arch,
        "small_stem": config.model.small_stem,
        "blurpool": config.model.blurpool,
        "classes": [[info.wnid, info.name] for info in manifest.classes],
        "preprocessing": config.data.preprocessing.to_dict(),
        "metrics": {},
        "fingerprint": trainer.stream.fingerprint,
    }
