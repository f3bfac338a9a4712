"""What learns: the network and all that changes it, one optimizer step at a time."""

import gc
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from itertools import repeat
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from tarn.sharding.errors import TarnError, UsageError
from tarn.training.evaluation.evaluate import hits
from tarn.training.model.freezing import freeze
from tarn.training.model.head import head_parameters
from tarn.training.model.synchrony import synchronised
from tarn.training.pixels.normalisation import Normalisation
from tarn.training.recipe.amp import build_scaler, choose_dtype
from tarn.training.recipe.augmentation import DeviceAugmentation
from tarn.training.recipe.average import Average
from tarn.training.recipe.loss import build_loss
from tarn.training.recipe.mixing import dominating
from tarn.training.recipe.moment import NOWHERE, Moment
from tarn.training.recipe.momentum import restore_momentum
from tarn.training.recipe.optimizers import build_optimizer, rate_of, set_rate
from tarn.training.run.config import RunConfig
from tarn.training.run.memory import Memory, Room
from tarn.training.run.rehearsal import largest_part, rehearse
from tarn.training.run.speed import by_itself, compiled, distributed, many_sizes
from tarn.training.streaming.batch import Batch
from tarn.training.world.world import World


class Learner:
    """A network on its device, its optimizer and its loss. It knows no epoch and no stream.

    network: the model as it is trained: compiled, or wrapped for several ranks, once prepare() was called. classes:
    their number, where config.augment mixes samples. class_counts: pictures of each, where the loss weighs classes.
    """

    def __init__(
        self,
        config: RunConfig,
        world: World,
        model: nn.Module,
        classes: int | None = None,
        class_counts: Tensor | None = None,
    ) -> None:
        self.config, self.world = config, world
        layout = torch.channels_last if config.channels_last else torch.contiguous_format
        if config.speed.sync_batchnorm:
            model = synchronised(model)
        self.model = model.to(device=world.device, memory_format=layout)  # type: ignore[call-overload]
        self.frozen = freeze(self.model, config.model.freeze)
        self.average: Average | None = None
        if config.optim.ema_decay is not None:
            self.average = Average(self.model, config.optim.ema_decay, config.optim.ema_every)
        self.network: nn.Module = self.model
        self.problem: str | None = None
        self.dtype = choose_dtype(config.amp, world.device)
        self.classes = classes
        self.normalisation, self.augmentation = self.build_input()
        self.optimizer = build_optimizer(self.model, config.optim, head_parameters(self.model))
        self.scaler = build_scaler(self.dtype, world.device)
        self.loss = build_loss(config.optim, class_counts).to(world.device)
        self.memory = Memory(config.optim.micro_batch == "auto" and world.size == 1 and world.device.type != "cpu")

    def build_input(self) -> tuple[Normalisation, DeviceAugmentation]:
        data = self.config.data
        normalisation = Normalisation(data.mean, data.std, self.config.channels_last, self.dtype).to(self.world.device)
        return normalisation, DeviceAugmentation(self.config.augment, normalisation, self.config.seed, self.classes)

    @property
    def lr(self) -> float:
        """Of the last step."""
        return rate_of(self.optimizer)

    def part_size(self, share: int, side: int, known: Room | None) -> int:
        """The most samples of a part, of a rank's share of a step. micro_batch=auto: what a GPU's memory holds, the
        same on all ranks; known: what an earlier start of the run found, at this size of pictures. Elsewhere no more
        than 256."""
        told, device = self.config.optim.micro_batch, self.world.device
        if told != "auto":
            return min(share, told or share)
        if known is not None and known.side >= side:
            if self.memory.halves:
                self.memory.pieces = known.pieces  # of the parts, which random choices were drawn for
                return min(share, known.part)
            return min(share, -(-known.part // known.pieces))
        if device.type != "cuda":
            return min(share, 256)
        copies = 3 if self.config.optim.optimizer == "sgd" else 5  # moments and the like come with the first step
        state = copies * sum(p.numel() for p in self.model.parameters()) * 4
        found = largest_part(self.model, self.rehearsal, share, side, device, state)
        return min(cast(list[int], self.world.gather(found)))

    def prepare(self, samples: int, side: int, parts: int) -> None:
        """Compiles and wraps the network for steps of so many parts, of samples x side x side x 3 at most.

        problem: one sentence where it could not be compiled, and is trained as it is.
        """
        speed, network = self.config.speed, self.model
        speed.check(self.world, parts, -(-self.world.smallest_share(self.config.optim.global_batch) // samples))
        if speed.compiles_on(self.world.device):
            network = compiled(self.model, speed)
            self.normalisation.compile(dynamic=False, **many_sizes())  # one pass over the memory in place of four
            problem = self.problem_of(network, samples, side)
            if self.world.any(problem is not None):
                network = self.model
                self.problem = (
                    f"torch.compile failed ({problem or 'on another rank'}): trained without it, more slowly; "
                    "speed.compile=off asks for just that."
                )
                self.normalisation, self.augmentation = self.build_input()
        self.network = distributed(network, speed, self.world, parts)

    def problem_of(self, network: nn.Module, samples: int, side: int) -> str | None:
        """Why a compiled network does not compile, None where it does. Ranks may differ in it: they exchange
        nothing."""
        self.network = by_itself(network, self.world)
        try:
            rehearse(self.model, self.rehearsal, samples, side, self.world.device)
        except torch.OutOfMemoryError:
            raise
        except Exception as error:  # of torch's compiler, of Triton, of a C compiler that is not there
            return " ".join(str(error).split())[:200] or type(error).__name__
        finally:
            self.network = self.model
            gc.collect()  # what listens to gradients for the rehearsal's exchange must not do so in a step
        return None

    def rehearsal(self, images: Tensor, labels: Tensor) -> None:
        self.train()
        self.accumulate(self.normalisation(images), labels, last=True)

    def train(self) -> None:
        """Training mode for all that is trained."""
        self.network.train()
        for frozen in self.frozen:
            frozen.eval()

    def step(self, parts: Iterator[Batch], lr: float, moments: Iterable[Moment] = repeat(NOWHERE)) -> Tensor:
        """One optimizer step over a global batch, of which the parts are this rank's, their gradients added up.

        moments: where the parts stand, which config.augment draws from.
        Returns loss sum, top-1 hits, top-5 hits and samples of the parts, on the device.
        """
        self.train()
        set_rate(self.optimizer, lr)
        here = (self.augmented(part, moment) for part, moment in zip(parts, moments, strict=False))
        sums = self.memory.fitted(self.model, here, self.backward)
        if self.config.optim.clip_norm is not None:
            self.scaler.unscale_(self.optimizer)
            nn.utils.clip_grad_norm_(self.model.parameters(), self.config.optim.clip_norm)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad(set_to_none=True)
        if self.average is not None:
            self.average.after_step(self.model)
        return sums

    def augmented(self, part: Batch, moment: Moment = NOWHERE) -> Batch:
        """On the device, as the network takes it: images B x 3 x H x W, normalised; labels may be probabilities."""
        part = part.to(self.world.device, non_blocking=True)
        images, targets = self.augmentation(part.images, part.labels, moment)
        return replace(part, images=images, labels=targets)

    def backward(self, batch: Batch) -> Tensor:
        """Adds a part's share of the global gradient. Returns loss sum, top-1 hits, top-5 hits and samples."""
        return self.accumulate(batch.images, batch.labels, batch.last)

    def accumulate(self, images: Tensor, targets: Tensor, last: bool) -> Tensor:
        """The loss is the sum over the part times (ranks / global batch): DDP's mean over ranks then makes it the mean
        over the global batch, also where ranks hold unequal shares. A mixture's hits are those of its dominating class.
        """
        alone = isinstance(self.network, DistributedDataParallel) and not last
        with self.network.no_sync() if alone else nullcontext():  # type: ignore[operator]
            with torch.autocast(self.world.device.type, dtype=self.dtype, enabled=self.dtype is not None):
                logits = self.network(images)
            loss = self.loss(logits.float(), targets)
            self.scaler.scale(loss * self.world.loss_scale(self.config.optim.global_batch)).backward()
        told = hits(logits.detach(), dominating(targets)).sum(dim=0).to(self.world.precise)
        return torch.stack([loss.detach().to(self.world.precise), told[1], told[2], told[0]])

    def state_dict(self) -> dict[str, Any]:
        told = {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "optimizer_kind": self.config.optim.optimizer,
            "scaler": self.scaler.state_dict(),
        }
        return told if self.average is None else told | {"average": self.average.state_dict()}

    def load_state_dict(self, told: dict[str, Any]) -> None:
        """Raises TarnError where the checkpoint belongs to another architecture, UsageError for another optimizer."""
        before, now = told.get("optimizer_kind", "sgd"), self.config.optim.optimizer
        if before != now:
            raise UsageError(
                f"optim.optimizer={now!r} cannot go on from a checkpoint of {before!r}, whose moments are others: give "
                "the run's own optimizer, or another run folder by --out."
            )
        try:
            self.model.load_state_dict(told["model"])
            restore_momentum(self.optimizer, self.model, told["optimizer"])
            if self.average is not None and "average" in told:
                self.average.load_state_dict(told["average"])
            elif self.average is not None:
                self.average.begin_at(self.model)
        except (RuntimeError, ValueError, KeyError) as error:
            reason = " ".join(str(error).split())[:200]
            raise TarnError(
                f"the checkpoint does not fit model.arch={self.config.model.arch!r} ({reason}): give the run's own "
                "model, or another run folder."
            ) from error
        if told["scaler"]:  # empty where the run was not in fp16: the scale begins anew
            self.scaler.load_state_dict(told["scaler"])
