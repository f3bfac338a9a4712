"""The batch of a place: located by the order, read from the source, decoded into the given memory."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sharding.errors import TarnError
from sharding.remote.persistence import Reader
from training.streaming.bad_samples import BadSample, substitute
from training.streaming.decode import PictureDecoder
from training.streaming.geometry import UNIFORMS
from training.streaming.order import EpochOrder
from training.streaming.pictures import BrokenPictureError, Pixels
from training.streaming.plan import StreamPlan
from training.streaming.randomness import sample_uniforms
from training.streaming.remote_source import RemoteSource
from training.streaming.sources import LocalSource, Sample, Source
from training.streaming.traffic import Traffic

SUBSTITUTES = 20  # tried for one bad sample before the shard itself counts as bad

Place = tuple[int, int, int]  # epoch, step, part of this rank's share
Rows = tuple[int, int]  # of a batch: the first one, and one past the last


@dataclass(frozen=True, slots=True)
class Made:
    """samples: rows written. keys: of the samples, where asked for. bad: samples that were replaced."""

    samples: int
    keys: tuple[str, ...]
    bad: tuple[BadSample, ...]


def build_source(plan: StreamPlan, traffic: Traffic | None, number: int, reader: Reader | None = None) -> Source:
    """reader: one of the tars' root that has its connections open, if there is one."""
    if plan.is_local:
        return LocalSource(plan.root, plan.tars, plan.shards, plan.access.options)
    return RemoteSource(plan.root, plan.tars, plan.shards, plan.access, traffic, number, reader)


class BatchMaker:
    """Makes the batch of any place, or some of its rows, for a place is all that a batch depends on."""

    def __init__(self, plan: StreamPlan, source: Source) -> None:
        self.plan, self.source = plan, source
        self.order: tuple[int, EpochOrder] | None = None
        self.decoder = PictureDecoder(plan.fidelity)

    def make(
        self, place: Place, images: NDArray[np.uint8], labels: NDArray[np.int64], rows: Rows | None = None
    ) -> Made:
        """Writes those rows of images (n x H x W x 3) and labels, as far as the batch has them, or all.

        Raises TarnError naming shard, key and cause.
        """
        epoch, step, part = place
        if self.order is None or self.order[0] != epoch:
            self.order = (epoch, self.plan.order(epoch))
        first, end = rows or (0, len(labels))
        positions = self.plan.positions(step)[part][first:end]
        shards, places = self.order[1].locate(positions)
        wanted = list(zip(shards.tolist(), places.tolist(), strict=True))
        uniforms = sample_uniforms(self.plan.seed, epoch, positions, UNIFORMS)
        bad: list[BadSample] = []
        keys: list[str] = []
        for at, sample in enumerate(self.source.read(wanted)):
            shard, out = wanted[at][0], images[first + at]
            shown = self.write(out, shard, sample, uniforms[at], (epoch, int(positions[at])), bad)
            labels[first + at] = shown.label
            if self.plan.keys:
                keys.append(shown.key)
        return Made(len(wanted), tuple(keys), tuple(bad))

    def write(
        self,
        out: Pixels,
        shard: int,
        sample: Sample,
        uniforms: NDArray[np.float64],
        at: tuple[int, int],
        bad: list[BadSample],
    ) -> Sample:
        """The sample's pixels, or those of the one that stands in for it. Returns the sample that they are of."""
        for attempt in range(SUBSTITUTES):
            try:
                self.decode(sample.picture, out, uniforms)
                return sample
            except BrokenPictureError as error:
                if self.plan.bad_samples.policy == "raise":
                    raise TarnError(
                        f"{self.source.url(shard)}: {sample.key} is {error}: pack without it, or set "
                        "data.bad_samples.policy=replace to train without it."
                    ) from error
                bad.append(BadSample(self.source.name(shard), sample.key, str(error)))
                place = substitute(self.plan.seed, *at, attempt, self.source.samples(shard))
                (sample,) = self.source.read([(shard, place)])
        raise TarnError(
            f"{self.source.url(shard)}: {SUBSTITUTES} samples drawn in a row are bad: copy or pack it again."
        )

    def decode(self, data: memoryview, out: Pixels, uniforms: NDArray[np.float64]) -> None:
        if self.plan.augmentation is None:
            self.decoder.evaluate(data, out, self.plan.preprocessing)
        else:
            self.decoder.train(data, out, self.plan.augmentation, uniforms)


def slot_layout(rows: int, side: int) -> tuple[int, int]:
    """Bytes of labels, then of images, in the memory of one batch."""
    return -(-8 * rows // 64) * 64, rows * side * side * 3


def slot_arrays(memory: memoryview, rows: int, side: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Images and labels of a slot; both keep one array alive, their base."""
    head, body = slot_layout(rows, side)
    whole = np.frombuffer(memory, np.uint8, head + body)
    return whole[head:].reshape(rows, side, side, 3), whole[: 8 * rows].view(np.int64)
