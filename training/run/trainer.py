"""The loop: fetch, forward, backward, step, log; saving and telling stand around it."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as functional
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from tarn.sharding.errors import TarnError
from tarn.training.evaluation.evaluate import Score, evaluate, hits
from tarn.training.model.resnet import ResNet
from tarn.training.pixels.normalisation import normalise
from tarn.training.recipe.amp import build_scaler, choose_dtype
from tarn.training.recipe.momentum import restore_momentum
from tarn.training.recipe.optim import Plateau, build_optimizer, learning_rate
from tarn.training.run.config import RunConfig
from tarn.training.run.journal import Figures, Journal
from tarn.training.run.tally import Tally
from tarn.training.run.trace import Trace
from tarn.training.streaming.iteration import Batch
from tarn.training.streaming.planned import PlannedLoader
from tarn.training.streaming.state import StreamState
from tarn.training.world.world import World


class Trainer:
    """One model on its way through the epochs. The stream's state is counted here, where batches are consumed."""

    def __init__(
        self,
        config: RunConfig,
        world: World,
        model: ResNet,
        train: PlannedLoader,
        val: PlannedLoader | None,
    ) -> None:
        self.config, self.world, self.train_loader, self.val_loader = config, world, train, val
        layout = torch.channels_last if config.channels_last else torch.contiguous_format
        self.model = model.to(device=world.device, memory_format=layout)  # type: ignore[call-overload]
        self.network: nn.Module = self.model
        if world.size > 1:
            self.network = DistributedDataParallel(self.model, gradient_as_bucket_view=True)
        self.dtype = choose_dtype(config.amp, world.device)
        self.eval_dtype = choose_dtype(config.eval_amp, world.device)
        self.optimizer = build_optimizer(self.model, config.optim)
        self.scaler = build_scaler(self.dtype, world.device)
        self.plateau = Plateau(config.optim.factor, config.optim.patience)
        self.stream: StreamState = train.state
        self.trace: Trace | None = None
        self.last_score: Score | None = None
        self.stretch, self.epoch_tally = self.new_tally(), self.new_tally()

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
    def is_at_end(self) -> bool:
        """Of an epoch, or of the run."""
        return self.stream.samples >= self.train_loader.plan.samples or self.step >= self.last_step

    @property
    def lr(self) -> float:
        rate = learning_rate(self.config.optim, self.step, self.steps_per_epoch)
        return rate * (self.plateau.multiplier if self.config.optim.schedule == "plateau" else 1.0)

    def new_tally(self) -> Tally:
        return Tally(torch.zeros(4, dtype=self.world.precise, device=self.world.device))

    def steps(self, journal: Journal) -> Iterator[None]:
        """Takes the steps that the epoch still has, one a turn; the caller may stop between any two."""
        first = self.stream.samples // self.stream.global_batch
        journal.start_bar(f"epoch {self.stream.epoch}", self.train_loader.plan.samples, self.stream.samples)
        batches = self.train_loader.batches(self.stream.epoch, first)
        for step in range(first, self.steps_per_epoch):
            if self.step >= self.last_step:
                break
            with told_of_memory(self.config.optim.micro_batch):
                self.train_step(batches, self.lr)
            self.last_score = None
            if self.trace is not None:
                self.trace.end_step(self.step)
            self.stream = self.stream.advanced(self.stream.global_batch)
            if self.step % self.config.journal.every_steps == 0 or step == self.steps_per_epoch - 1:
                self.log(journal)
            journal.advance_bar(self.stream.global_batch)
            yield
        journal.end_bar()

    def train_step(self, batches: Iterator[Batch], lr: float) -> None:
        """One optimizer step over a global batch, its micro-batches' gradients added up."""
        start = time.perf_counter()
        self.network.train()
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        last = False
        while not last:
            asked = time.perf_counter()
            batch = next(batches)
            self.stretch.waited += time.perf_counter() - asked
            last = batch.last
            self.stretch.sums += self.backward(batch)
            if self.trace is not None:
                self.trace.see(batch.keys)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad(set_to_none=True)
        self.stretch.seconds += time.perf_counter() - start

    def backward(self, batch: Batch) -> Tensor:
        """Adds a micro-batch's share of the global gradient. Returns loss sum, top-1 hits, top-5 hits and samples.

        The loss is the sum over the micro-batch times (ranks / global batch): DDP's mean over ranks then makes it the
        mean over the global batch, also where ranks hold unequal shares.
        """
        device, data, optim = self.world.device, self.config.data, self.config.optim
        labels = batch.labels.to(device, non_blocking=True)
        images = normalise(batch.images.to(device, non_blocking=True), data.mean, data.std, self.config.channels_last)
        alone = isinstance(self.network, DistributedDataParallel) and not batch.last
        with self.network.no_sync() if alone else nullcontext():  # type: ignore[operator]
            with torch.autocast(device.type, dtype=self.dtype, enabled=self.dtype is not None):
                logits = self.network(images)
            loss = functional.cross_entropy(
                logits.float(), labels, reduction="sum", label_smoothing=optim.label_smoothing
            )
            self.scaler.scale(loss * self.world.loss_scale(optim.global_batch)).backward()  # type: ignore[no-untyped-call]
        told = hits(logits.detach(), labels).sum(dim=0).to(self.world.precise)
        return torch.stack([loss.detach().to(self.world.precise), told[1], told[2], told[0]])

    def log(self, journal: Journal) -> None:
        """Reads the last steps' figures from the device, over all ranks. Raises TarnError where the loss is lost."""
        stretch, self.stretch = self.stretch, self.new_tally()
        if not stretch.seconds:
            return
        asked, lr = time.perf_counter(), self.optimizer.param_groups[0]["lr"]
        self.world.sum(stretch.sums)
        figures = stretch.figures()  # waits for the device: that time belongs to the steps
        stretch.seconds += time.perf_counter() - asked
        figures |= {"lr": lr, "images_per_second": float(stretch.sums[3]) / stretch.seconds}
        if not math.isfinite(figures["loss"]):
            raise TarnError(
                f"the training loss is {figures['loss']} at step {self.step} (optim.lr={lr:.4g}): lower optim.lr or "
                "lengthen optim.warmup_epochs; the last checkpoint is from before and stays."
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

    def validate(self, journal: Journal, look: Callable[[], object]) -> Score:
        """Rank 0's running statistics go to all ranks first, so that every rank scores the same model.

        look: called by all ranks before each batch; what it raises ends the validation.
        """
        assert self.val_loader is not None
        self.world.broadcast(iter(self.model.buffers()))
        journal.start_bar("validation", self.val_loader.plan.samples)
        classes = self.model.fc.out_features
        score = evaluate(self.model, self.val_loader, self.world, classes, self.eval_dtype, journal.advance_bar, look)
        journal.end_bar()
        self.last_score = score
        return score

    def epoch_figures(self, journal: Journal, look: Callable[[], object]) -> Figures:
        """The epoch's line, its validation included where there is one; None is what no number can be told of."""
        self.log(journal)
        lr, seen = self.optimizer.param_groups[0]["lr"], self.epoch_tally.figures()
        figures: Figures = {"epoch": self.stream.epoch, "lr": lr}
        figures |= {f"train_{name}": seen[name] for name in ("loss", "top1", "top5")}
        if self.val_loader is not None:
            score = self.validate(journal, look)
            sound = score.is_finite
            if not sound:
                journal.say(
                    f"Warning: the validation loss is {score.loss} at step {self.step}: this is no score, and counts "
                    "neither as the best nor for the plateau; lower optim.lr, or see to eval_amp."
                )
            for name in ("loss", "top1", "top5"):
                figures[f"val_{name}"] = getattr(score, name) if sound else None
        figures |= {name: seen[name] for name in ("images_per_second", "data_wait")}
        return figures

    def turn(self, val_loss: float | None) -> None:
        """To the next epoch, where this one is at its end."""
        if self.stream.samples >= self.train_loader.plan.samples:
            if val_loss is not None:
                self.plateau.observe(val_loss)
            self.stream = self.stream.next_epoch()
            self.epoch_tally = self.new_tally()

    def state_dict(self) -> dict[str, Any]:
        """All that the steps to come depend on: plain values and tensors. Every rank calls it and adds its own."""
        rng: dict[str, Any] = {"cpu": torch.get_rng_state()}
        if self.world.device.type == "cuda":
            rng["cuda"] = torch.cuda.get_rng_state(self.world.device)
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "plateau": {name: getattr(self.plateau, name) for name in ("best", "worse", "multiplier")},
            "stream": self.stream.to_dict(),
            "tally": [self.epoch_tally.sums.tolist(), self.epoch_tally.seconds, self.epoch_tally.waited],
            "rng": self.world.gather(rng),
        }

    def load_state_dict(self, told: dict[str, Any]) -> None:
        """Raises TarnError where the checkpoint belongs to another stream or another architecture."""
        self.stream = self.stream.restored(told["stream"])
        try:
            self.model.load_state_dict(told["model"])
            restore_momentum(self.optimizer, self.model, told["optimizer"])
        except (RuntimeError, ValueError, KeyError) as error:
            reason = " ".join(str(error).split())[:200]
            raise TarnError(
                f"the checkpoint does not fit model.arch={self.config.model.arch!r} ({reason}): give the run's own "
                "model, or another run folder."
            ) from error
        if told["scaler"]:  # empty where the run was not in fp16: the scale begins anew
            self.scaler.load_state_dict(told["scaler"])
        self.plateau = replace(self.plateau, **told["plateau"])
        sums, seconds, waited = told["tally"]
        self.epoch_tally = Tally(self.epoch_tally.sums.new_tensor(sums), seconds, waited)
        if len(told["rng"]) == self.world.size:
            rng = told["rng"][self.world.rank]
            torch.set_rng_state(rng["cpu"])
            if "cuda" in rng and self.world.device.type == "cuda":
                torch.cuda.set_rng_state(rng["cuda"], self.world.device)


@contextmanager
def told_of_memory(micro_batch: int | None) -> Iterator[None]:
    """What torch refuses in a step for its size, in one sentence with the setting that mends it."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        reason = str(error).splitlines()[0][:160]
        raise TarnError(
            f"the device's memory is too small for parts of optim.micro_batch={micro_batch} ({reason}): "
            "lower optim.micro_batch; the weights stay the same but for batch statistics."
        ) from error
    except ValueError as error:
        if "more than 1 value per channel" not in str(error):
            raise
        raise TarnError(
            f"a part of a step has one sample (optim.micro_batch={micro_batch}), of which no batch statistics can be "
            "taken: raise optim.micro_batch, or optim.global_batch to two for each rank."
        ) from error
