"""One stream of a rank: some of its tars, read from their beginning, and decoded as far as asked for.

In a process of its own (sequential/process.py) it answers messages; without processes it is called directly.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tarn.sharding.archives.headers import shown
from tarn.sharding.errors import TarnError
from tarn.training.pixels.decode import PictureDecoder
from tarn.training.pixels.pictures import BrokenPictureError, Pixels
from tarn.training.streaming.sequential.plan import SequentialPlan
from tarn.training.streaming.sequential.samples import RawSample, Samples, shuffled


@dataclass(frozen=True, slots=True)
class Pull:
    """Asks for the next samples of a reading. ticket: of the reading; another one begins anew.

    skip: samples to throw away undecoded first; count: samples to decode then.
    """

    ticket: int
    epoch: int
    lap: int
    skip: int
    count: int


@dataclass(frozen=True, slots=True)
class Chunk:
    """What a pull gave. images: n x H x W x 3; skipped: at most what was to be; ended: nothing follows."""

    ticket: int
    images: NDArray[np.uint8]
    labels: tuple[int, ...] = ()
    keys: tuple[str, ...] = ()
    skipped: int = 0
    ended: bool = False
    error: str = ""


class SampleStream:
    """Stream number `number` of the plan's rank."""

    def __init__(self, plan: SequentialPlan, number: int) -> None:
        self.plan, self.number = plan, number
        self.ticket: int | None = None
        self.samples: Iterator[RawSample] = iter(())
        self.at = 0
        self.decoder = PictureDecoder()

    def chunk(self, pull: Pull) -> Chunk:
        """Raises TarnError for tars that cannot be read and pictures that cannot be decoded."""
        if pull.ticket != self.ticket:
            self.ticket, self.samples, self.at = pull.ticket, self.begin(pull.epoch, pull.lap), 0
        skipped = sum(1 for _ in itertools.islice(self.samples, pull.skip))
        taken = list(itertools.islice(self.samples, pull.count))
        first, self.at = self.at + skipped, self.at + skipped + len(taken)
        side = self.plan.image_size
        images = np.empty((len(taken), side, side, 3), np.uint8)
        uniforms = self.plan.uniforms(pull.epoch, pull.lap, self.number, first, len(taken))
        for row, sample in enumerate(taken):
            self.decode(sample, images[row], uniforms[row])
        return Chunk(
            pull.ticket,
            images,
            tuple(sample.label for sample in taken),
            tuple(sample.key for sample in taken),
            skipped,
            ended=skipped < pull.skip or len(taken) < pull.count,
        )

    def begin(self, epoch: int, lap: int) -> Iterator[RawSample]:
        plan = self.plan
        tars = plan.stream_tars(epoch, lap, self.number)
        samples = iter(Samples(tars, plan.classes, plan.reading, plan.options, plan.patience))
        if not plan.train:
            return samples
        size = -(-plan.shuffle_buffer // plan.streams)
        return shuffled(samples, size, plan.buffer_rng(epoch, lap, self.number))

    def decode(self, sample: RawSample, out: Pixels, uniforms: NDArray[np.float64]) -> None:
        plan, data = self.plan, memoryview(sample.picture)
        try:
            if plan.augmentation is None:
                self.decoder.evaluate(data, out, plan.preprocessing)
            else:
                self.decoder.train(data, out, plan.augmentation, uniforms)
        except BrokenPictureError as error:
            raise TarnError(f"{sample.url}: {shown(sample.key)} is {error}: pack without it.") from error


def failed(pull: Pull, error: TarnError) -> Chunk:
    return Chunk(pull.ticket, np.empty((0, 0, 0, 3), np.uint8), error=str(error))
