"""What learns: the network and all that changes it, one optimizer step at a time."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from tarn.sharding.errors import TarnError
from tarn.training.evaluation.evaluate import hits
from tarn.training.model.freezing import freeze
from tarn.training.pixels.normalisation import normalise
from tarn.training.recipe.amp import build_scaler, choose_dtype
from tarn.training.recipe.loss import Loss
from tarn.training.recipe.momentum import restore_momentum
from tarn.training.recipe.optimizers import build_optimizer
from tarn.training.run.config import RunConfig
from tarn.training.streaming.iteration import Batch
from tarn.training.world.world import World


class Learner:
    """A network on its device, its optimizer and its loss. It knows no epoch and no stream."""

    def __init__(self, config: RunConfig, world: World, model: nn.Module) -> None:
        self.config, self.world = config, world
        layout = torch.channels_last if config.channels_last else torch.contiguous_format
        self.model = model.to(device=world.device, memory_format=layout)  # type: ignore[call-overload]
        self.frozen = freeze(self.model, config.model.freeze)
        self.network: nn.Module = self.model
        if world.size > 1:
            self.network = DistributedDataParallel(self.model, gradient_as_bucket_view=True)
        self.dtype = choose_dtype(config.amp, world.device)
        self.optimizer = build_optimizer(self.model, config.optim)
        self.scaler = build_scaler(self.dtype, world.device)
        self.loss = Loss(config.optim.label_smoothing)

    @property
    def lr(self) -> float:
        """Of the last step."""
        return float(self.optimizer.param_groups[0]["lr"])

    def step(self, parts: Iterator[Batch], lr: float) -> Tensor:
        """One optimizer step over a global batch, of which the parts are this rank's, their gradients added up.

        Returns loss sum, top-1 hits, top-5 hits and samples of the parts, on the device.
        """
        self.network.train()
        for frozen in self.frozen:
            frozen.eval()
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        sums = torch.zeros(4, dtype=self.world.precise, device=self.world.device)
        for part in parts:
            sums += self.backward(part)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad(set_to_none=True)
        return sums

    def backward(self, batch: Batch) -> Tensor:
        """Adds a part's share of the global gradient. Returns loss sum, top-1 hits, top-5 hits and samples.

        The loss is the sum over the part times (ranks / global batch): DDP's mean over ranks then makes it the mean
        over the global batch, also where ranks hold unequal shares.
        """
        device, data = self.world.device, self.config.data
        labels = batch.labels.to(device, non_blocking=True)
        images = normalise(batch.images.to(device, non_blocking=True), data.mean, data.std, self.config.channels_last)
        alone = isinstance(self.network, DistributedDataParallel) and not batch.last
        with self.network.no_sync() if alone else nullcontext():  # type: ignore[operator]
            with torch.autocast(device.type, dtype=self.dtype, enabled=self.dtype is not None):
                logits = self.network(images)
            loss = self.loss(logits.float(), labels)
            share = self.world.loss_scale(self.config.optim.global_batch)
            self.scaler.scale(loss * share).backward()
        told = hits(logits.detach(), labels).sum(dim=0).to(self.world.precise)
        return torch.stack([loss.detach().to(self.world.precise), told[1], told[2], told[0]])

    def state_dict(self) -> dict[str, Any]:
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
        }

    def load_state_dict(self, told: dict[str, Any]) -> None:
        """Raises TarnError where the checkpoint belongs to another architecture."""
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
