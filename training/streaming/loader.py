"""From shards to uint8 batches, batch by batch of the order, over worker processes.

A batch is known by its place (epoch, step, part): a worker that gets the place needs nothing else, so neither the
number of workers nor a restart changes what a batch holds.
"""

import multiprocessing
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from sharding.errors import TarnError
from training.streaming.decode import UNIFORMS, BrokenPictureError, Pixels, decode_eval, decode_train
from training.streaming.order import EpochOrder
from training.streaming.plan import StreamPlan
from training.streaming.randomness import sample_uniforms
from training.streaming.reader import ShardReader

Place = tuple[int, int, int]  # epoch, step, part of this rank's share


@dataclass(frozen=True, slots=True)
class Batch:
    """images: n x H x W x 3 uint8; labels: n int64; last: whether it ends its step."""

    images: Tensor
    labels: Tensor
    step: int
    last: bool

    def pin_memory(self) -> "Batch":
        """Called by the DataLoader, so that the copy to a GPU does not block."""
        return Batch(self.images.pin_memory(), self.labels.pin_memory(), self.step, self.last)


class BatchParts(Dataset[Batch | TarnError]):
    """Makes the batch of a place. Errors travel as values, so that the main process can say them in one sentence."""

    def __init__(self, plan: StreamPlan) -> None:
        self.plan = plan
        self.reader = ShardReader(plan.root, plan.shards)
        self.order: tuple[int, EpochOrder] | None = None

    def __getitem__(self, place: Place) -> Batch | TarnError:
        epoch, step, part = place
        if self.order is None or self.order[0] != epoch:
            self.order = (epoch, self.plan.order(epoch))
        parts = self.plan.positions(step)
        positions = parts[part]
        size = self.plan.image_size
        images, labels = np.empty((len(positions), size, size, 3), np.uint8), np.empty(len(positions), np.int64)
        uniforms = sample_uniforms(self.plan.seed, epoch, positions, UNIFORMS)
        try:
            for row, (shard, place_in_shard) in enumerate(zip(*self.order[1].locate(positions), strict=True)):
                images[row], labels[row] = self.sample(int(shard), int(place_in_shard), uniforms[row])
        except TarnError as error:
            return error
        return Batch(torch.from_numpy(images), torch.from_numpy(labels), step, part == len(parts) - 1)

    def sample(self, shard: int, place: int, uniforms: NDArray[np.float64]) -> tuple[Pixels, int]:
        data, label = self.reader.read(shard, place)
        plan = self.plan
        try:
            if plan.augmentation is None:
                return decode_eval(data, plan.preprocessing.resize, plan.preprocessing.crop), label
            return decode_train(data, plan.image_size, plan.augmentation, uniforms), label
        except BrokenPictureError as error:
            raise TarnError(
                f"{self.reader.url(shard)}: {self.reader.key(shard, place)} is {error}: pack without it, "
                "or find every such picture first by `python -m sharding pack --check decode`."
            ) from error


class ShardLoader:
    """Batches of one rank in the order of the plan, made by `workers` processes ahead of time (0: in this one)."""

    def __init__(self, plan: StreamPlan, workers: int, pin_memory: bool = False) -> None:
        self.plan = plan
        self.places: list[Place] = []
        self.loader: DataLoader[Batch | TarnError] = DataLoader(
            BatchParts(plan),
            batch_size=None,
            sampler=self.places,
            num_workers=workers,
            persistent_workers=workers > 0,
            prefetch_factor=2 if workers else None,
            pin_memory=pin_memory,
            multiprocessing_context=start_method() if workers else None,
        )

    def batches(self, epoch: int, first_step: int = 0) -> Iterator[Batch]:
        """Every part of every step from first_step to the epoch's end. Raises TarnError for unreadable data."""
        self.places[:] = [
            (epoch, step, part)
            for step in range(first_step, self.plan.steps)
            for part in range(len(self.plan.positions(step)))
        ]
        for batch in self.loader:
            if isinstance(batch, TarnError):
                raise batch
            yield batch


def start_method() -> str:
    """fork where it is sound (Linux): workers start in milliseconds and share what the parent has read."""
    return "fork" if sys.platform == "linux" and "fork" in multiprocessing.get_all_start_methods() else "spawn"
