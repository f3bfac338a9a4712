"""The loop: fetch, forward, backward, step, log; saving and telling stand around it."""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from tarn.sharding.errors import TarnError
from tarn.training.evaluation.evaluate import Score, evaluate
from tarn.training.model.mirror import Mirrored
from tarn.training.recipe.amp import choose_dtype
from tarn.training.recipe.early_stop import EarlyStop
from tarn.training.recipe.moment import Moment
from tarn.training.recipe.schedule import Plateau, learning_rate
from tarn.training.run import checkpoint
from tarn.training.run.config import RunConfig
from tarn.training.run.journal import Figures, Journal
from tarn.training.run.learner import Learner
from tarn.training.run.memory import told_of_memory
from tarn.training.run.tally import Stopwatch, Tally, new_tally
from tarn.training.run.trace import Trace
from tarn.training.streaming.batch import Batch
from tarn.training.streaming.device_batches import DeviceBatches
from tarn.training.streaming.planned import PlannedLoader
from tarn.training.streaming.randomness import mixed
from tarn.training.streaming.state import StreamState
from tarn.training.world.world import World

# Where a run's settings stand that its stream depends on.
SETTINGS = {"global_batch": "optim.global_batch"}
SETTINGS |= {name: f"data.{name}" for name in ("lanes", "active_shards", "repeats")}


class Trainer:
    """One model on its way through the epochs. The stream's state is counted here, where batches are consumed."""

    def __init__(
        self,
        config: RunConfig,
        world: World,
        learner: Learner,
        train: PlannedLoader,
        val: PlannedLoader | None,
        num_classes: int,
    ) -> None:
        self.config, self.world, self.train_loader, self.val_loader = config, world, train, val
        self.learner, self.num_classes = learner, num_classes
        self.eval_dtype = choose_dtype(config.eval_amp, world.device)
        self.plateau = Plateau(config.optim.factor, config.optim.patience)
        self.early_stop = EarlyStop(config.optim.early_stop, is_averaged=config.export == "averaged")
        self.stream: StreamState = train.state
        self.trace: Trace | None = None
        self.scores: dict[nn.Module, Score] = {}  # of the weights as they stand
        self.watch, self.untold_steps = Stopwatch(), 0
        self.stretch, self.epoch_tally = self.new_stretch(), new_tally()

    @property
    def steps_per_epoch(self) -> int:
        return self.train_loader.plan.steps

    @property
    def step(self) -> int:
        """Optimizer steps taken since the run's beginning."""
        return self.stream.epoch * self.steps_per_epoch + self.stream.samples // self.stream.global_batch

    @property
    def last_step(self) -> int:
        total = self.config.optim.epochs * self.steps_per_epoch
        return min(total, self.config.optim.max_steps or total)

    @property
    def last_epoch(self) -> int:
        """Of the last step that was taken."""
        return (self.step - 1) // self.steps_per_epoch

    @property
    def is_at_end(self) -> bool:
        """Of an epoch, or of the run."""
        return self.stream.samples >= self.train_loader.plan.samples or self.step >= self.last_step

    @property
    def is_over(self) -> bool:
        """Whether no step is left to be taken."""
        return self.step >= self.last_step or self.early_stop.is_over

    @property
    def lr(self) -> float:
        rate = learning_rate(self.config.optim, self.step, self.steps_per_epoch)
        return rate * (self.plateau.multiplier if self.config.optim.schedule == "plateau" else 1.0)

    def new_stretch(self) -> Tally:
        return Tally(torch.zeros(4, dtype=self.world.precise, device=self.world.device))

    def steps(self, journal: Journal) -> Iterator[None]:
        """Takes the steps that the epoch still has, one a turn; the caller may stop between any two."""
        first = self.stream.samples // self.stream.global_batch
        journal.start_bar(f"epoch {self.stream.epoch}", self.train_loader.plan.samples, self.stream.samples)
        loader = self.train_loader
        batches = DeviceBatches(loader.batches(self.stream.epoch, first), self.world.device, loader.is_ready)
        for step in range(first, self.steps_per_epoch):
            if self.step >= self.last_step:
                break
            self.watch.start()
            with told_of_memory(self.config.optim.micro_batch):
                self.train_step(batches)
            self.scores, self.untold_steps = {}, self.untold_steps + 1
            if self.trace is not None:
                self.trace.end_step(self.step)
            self.stream = self.stream.advanced(self.stream.global_batch)
            if self.step % self.config.journal.every_steps == 0 or step == self.steps_per_epoch - 1:
                self.log(journal)
            journal.advance_bar(self.stream.global_batch)
            yield
        self.watch.stop()
        journal.end_bar()

    def train_step(self, batches: Iterator[Batch]) -> None:
        """One optimizer step over a global batch."""
        self.stretch.sums += self.learner.step(self.parts(batches), self.lr, self.moments())

    def moments(self) -> list[Moment]:
        """Where this rank's parts of the global batch stand."""
        step = self.stream.samples // self.stream.global_batch
        return [Moment(self.stream.epoch, step, each) for each in self.train_loader.plan.positions(step)]

    def parts(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        """This rank's parts of one global batch; counts what was waited for them."""
        last = False
        while not last:
            asked = time.perf_counter()
            batch = next(batches)
            self.stretch.waited += time.perf_counter() - asked
            last = batch.last
            if self.trace is not None:
                self.trace.see(batch.keys)
            yield batch

    def log(self, journal: Journal) -> None:
        """Reads the last steps' figures from the device, over all ranks. Raises TarnError where the loss is lost."""
        if not self.untold_steps:
            return
        stretch, self.stretch, self.untold_steps = self.stretch, self.new_stretch(), 0
        stretch.sums = self.world.sum(stretch.sums).cpu()  # waits for the device: that time belongs to the steps
        stretch.seconds, lr = self.watch.lap(), self.learner.lr
        figures = stretch.figures() | {"lr": lr}
        if not math.isfinite(figures["loss"]):
            stays = checkpoint.what_stays(Path(self.config.out, "checkpoints"), self.step)
            raise TarnError(
                f"the training loss is {figures['loss']} at step {self.step} (optim.lr={lr:.4g}): lower optim.lr or "
                f"lengthen optim.warmup_epochs; {stays}."
            )
        self.epoch_tally.add(stretch)
        faults = {f"data_{name}": value for name, value in self.train_loader.take_counters().items() if value}
        journal.record("train", self.step, {**figures, "epoch": self.stream.epoch, **faults})
        loaders = [self.train_loader] + ([self.val_loader] if self.val_loader else [])
        for warning in [warning for loader in loaders for warning in loader.take_warnings()]:
            journal.say(f"Warning: {warning}")
        journal.advance_bar(
            0,
            {
                "loss": f"{figures['loss']:.3f}",
                "top-1": f"{figures['top1']:.1%}",
                "lr": f"{lr:.3g}",
                "img/s": f"{figures['images_per_second']:.0f}",
                "wait": f"{figures['data_wait']:.0%}",
            },
        )

    def validate(self, journal: Journal, look: Callable[[], object], model: nn.Module) -> Score:
        """Rank 0's running statistics go to all ranks first, so that every rank scores the same model.

        look: called by all ranks before each batch; what it raises ends the validation. model: on the device, of the
        learner's architecture.
        """
        assert self.val_loader is not None
        self.world.broadcast(iter(model.buffers()))
        journal.start_bar("validation", self.val_loader.plan.samples)
        seen = Mirrored(model) if self.config.eval_flip else model
        score = evaluate(
            seen, self.val_loader, self.world, self.num_classes, self.eval_dtype, journal.advance_bar, look
        )
        journal.end_bar()
        self.scores[model] = score
        return score

    def epoch_figures(self, journal: Journal, look: Callable[[], object]) -> Figures:
        """The epoch's line, its validation included where there is one; None is what no number can be told of."""
        self.log(journal)
        lr, seen = self.learner.lr, self.epoch_tally.figures()
        figures: Figures = {"epoch": self.stream.epoch, "lr": lr}
        figures |= {f"train_{name}": seen[name] for name in ("loss", "top1", "top5")}
        if self.val_loader is not None:
            figures |= self.val_figures("val_", self.learner.model, journal, look)
            if self.learner.average is not None:
                figures |= self.val_figures("val_ema_", self.learner.average.model, journal, look)
        figures |= {name: seen[name] for name in ("images_per_second", "data_wait")}
        return figures

    def val_figures(self, prefix: str, model: nn.Module, journal: Journal, look: Callable[[], object]) -> Figures:
        score = self.validate(journal, look, model)
        if not score.is_finite:
            journal.say(
                f"Warning: the validation loss ({prefix}loss) is {score.loss} at step {self.step}: this is no score, "
                "and counts neither as the best nor for the plateau; lower optim.lr, or see to eval_amp."
            )
        told = {"loss": score.loss, "top1": score.top1, "top5": score.top5}
        return {f"{prefix}{name}": value if score.is_finite else None for name, value in told.items()}

    @property
    def view(self) -> dict[str, object] | None:
        """What validation sees, as plain values: scores of different views do not compare."""
        if self.val_loader is None:
            return None
        plan, pictures = self.val_loader.plan, self.val_loader.state.fingerprint
        return {**plan.preprocessing.to_dict(), "flip": self.config.eval_flip, "pictures": pictures}

    def measure_anew(self) -> None:
        """What the best score before was no longer counts; how far the rate fell, and epochs without a gain, do."""
        self.plateau = replace(self.plateau, best=math.inf)
        self.early_stop = replace(self.early_stop, best=-math.inf)

    def turn(self, figures: Figures | None) -> None:
        """To the next epoch, where this one is at its end, of which the figures are; None: they measure nothing."""
        if self.stream.samples >= self.train_loader.plan.samples:
            if figures is not None:
                if (val_loss := figures.get("val_loss")) is not None:
                    self.plateau.observe(val_loss)
                self.early_stop = self.early_stop.observed(figures.get(self.early_stop.figure))
            self.stream = self.stream.next_epoch()
            self.epoch_tally = new_tally()

    def state_dict(self) -> dict[str, Any]:
        """All that the steps to come depend on: plain values and tensors. Every rank calls it and adds its own."""
        rng: dict[str, Any] = {"cpu": torch.get_rng_state()}
        if self.world.device.type == "cuda":
            rng["cuda"] = torch.cuda.get_rng_state(self.world.device)
        return {
            **self.learner.state_dict(),
            "plateau": {name: getattr(self.plateau, name) for name in ("best", "worse", "multiplier")},
            "early_stop": {name: getattr(self.early_stop, name) for name in ("best", "worse")},
            "view": self.view,
            "stream": self.stream.to_dict(),
            "tally": [self.epoch_tally.sums.tolist(), self.epoch_tally.seconds, self.epoch_tally.waited],
            "rng": self.world.gather(rng),
        }

    def load_state_dict(self, told: dict[str, Any]) -> None:
        """Raises TarnError where the checkpoint belongs to another stream or another architecture."""
        self.stream = self.stream.restored(told["stream"], SETTINGS, "begin another run by --out")
        self.learner.load_state_dict(told)
        self.plateau = replace(self.plateau, **told["plateau"])
        self.early_stop = replace(self.early_stop, **told.get("early_stop", {}))
        sums, seconds, waited = told["tally"]
        self.epoch_tally = Tally(self.epoch_tally.sums.new_tensor(sums), seconds, waited)
        if len(told["rng"]) == self.world.size:
            rng = told["rng"][self.world.rank]
            torch.set_rng_state(rng["cpu"])
            if "cuda" in rng and self.world.device.type == "cuda":
                torch.cuda.set_rng_state(rng["cuda"], self.world.device)
        else:  # the states are other ranks': fresh draws, and not those of the first steps once more
            torch.manual_seed(mixed(self.config.seed, self.world.rank, self.step))
