"""What a sequential stream depends on, and who reads which tar: integers and names only."""

import hashlib
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tarn.sharding.errors import TarnError, UsageError
from tarn.sharding.foreign.names import expand
from tarn.sharding.foreign.reading import Reading
from tarn.sharding.format.manifest import ClassInfo
from tarn.sharding.storage.persistence import Patience
from tarn.sharding.storage.urls import KINDS
from tarn.training.pixels.geometry import UNIFORMS, Augmentation
from tarn.training.pixels.preprocessing import Preprocessing
from tarn.training.streaming.randomness import mixed, permutation, sample_uniforms
from tarn.training.world.ranks import Ranks

SCHEMES = {"file", *KINDS, "abfss", "hf", "webhdfs"}  # they fetch bytes; pipe:, ssh:// and the like run commands
SCHEME = re.compile(r"\s*([A-Za-z][A-Za-z0-9+.-]*):")
FORMAT = 1
TARS, AGAIN, BUFFER = 1, 2, 3  # what random numbers are drawn for


@dataclass(frozen=True, slots=True, kw_only=True)
class SequentialPlan:
    """One rank's part. samples: of all tars together. streams: of this rank, each read by a process of its own.

    augmentation: None for evaluation. shuffle_buffer: samples of a rank. classes: in the order of their
    numbers. reading: which members are a sample's picture and label.
    """

    urls: tuple[str, ...]
    samples: int
    global_batch: int
    seed: int
    image_size: int
    ranks: Ranks
    streams: int
    shuffle_buffer: int
    preprocessing: Preprocessing
    augmentation: Augmentation | None
    classes: tuple[ClassInfo, ...] | None
    reading: Reading
    options: Mapping[str, Any]
    patience: Patience

    @property
    def train(self) -> bool:
        return self.augmentation is not None

    @property
    def promise(self) -> str:
        """What is said, in an error, to somebody who found another number of samples."""
        return f"samples={self.samples} was told of {self.urls[0]} and so on: give the right number, or all of the tars"

    @property
    def steps(self) -> int:
        """Of an epoch, on every rank."""
        return self.samples // self.global_batch if self.train else -(-self.samples // self.global_batch)

    @property
    def rows(self) -> int:
        """Samples of a whole batch of this rank."""
        return len(self.ranks.share(self.global_batch))

    @property
    def chunk(self) -> int:
        """Samples that a stream hands over at a time: its part of one batch."""
        return -(-self.rows // self.streams)

    def rank_tars(self, epoch: int, lap: int) -> NDArray[np.int64]:
        """Places in urls, in this rank's order. lap: how often it has read them already in this epoch."""
        every = np.arange(len(self.urls), dtype=np.int64)
        if not self.train:
            return every[self.ranks.rank :: self.ranks.size]
        mine = permutation(len(every), self.seed, epoch, TARS)[self.ranks.rank :: self.ranks.size]
        return mine if lap == 0 else mine[permutation(len(mine), self.seed, epoch, self.ranks.rank, lap, AGAIN)]

    def stream_tars(self, epoch: int, lap: int, stream: int) -> tuple[str, ...]:
        return tuple(self.urls[place] for place in self.rank_tars(epoch, lap)[stream :: self.streams].tolist())

    def buffer_rng(self, epoch: int, lap: int, stream: int) -> random.Random:
        return random.Random(mixed(self.seed, epoch, self.ranks.rank, stream, lap, BUFFER))

    def uniforms(self, epoch: int, lap: int, stream: int, first: int, count: int) -> NDArray[np.float64]:
        """count x UNIFORMS numbers for a stream's samples from its `first` on.

        A sample's position is the one that it has among all of the rank, as long as no stream has ended.
        """
        positions = np.arange(first, first + count, dtype=np.int64) * self.streams + stream
        return sample_uniforms(mixed(self.seed, self.ranks.rank, lap), epoch, positions, UNIFORMS)


REMEDY = {  # where no setting of that name is there to be given
    "urls": "give the tars that it was made with, in their order",
    "ranks": "start as many ranks",
    "workers": "give as many num_workers",
    "format": "use the version of Tarn that wrote it",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SequentialState:
    """The batches to come depend on these. urls: their digest; samples: consumed in the epoch, over all ranks."""

    urls: str
    train: bool
    seed: int
    global_batch: int
    ranks: int
    workers: int
    shuffle_buffer: int
    epoch: int = 0
    samples: int = 0
    format: int = FORMAT

    @classmethod
    def start(cls, plan: SequentialPlan) -> "SequentialState":
        return cls(
            urls=hashlib.sha256("\n".join(plan.urls).encode()).hexdigest()[:16],
            train=plan.train,
            seed=plan.seed,
            global_batch=plan.global_batch,
            ranks=plan.ranks.size,
            workers=plan.streams,
            shuffle_buffer=plan.shuffle_buffer,
        )

    def next_epoch(self) -> "SequentialState":
        return replace(self, epoch=self.epoch + 1, samples=0)

    def to_dict(self) -> dict[str, object]:
        return asdict(self)

    def restored(self, told: Mapping[str, object]) -> "SequentialState":
        """Raises TarnError that names both values where the place told is one of another stream."""
        mine = self.to_dict()
        for name in ("format", "urls", "train", "seed", "global_batch", "ranks", "workers", "shuffle_buffer"):
            if told.get(name) != mine[name]:
                raise TarnError(
                    f"the checkpoint's sequential stream has {name}={told.get(name)!r}, this run has {mine[name]!r}: "
                    f"{REMEDY.get(name, f'give {name}={told.get(name)!r}')} to go on with it, or start anew."
                )
        return replace(self, epoch=int(str(told["epoch"])), samples=int(str(told["samples"])))


def tars_of(urls: str | Sequence[str]) -> tuple[str, ...]:
    """Raises UsageError for none, for one named twice, and for whatever does not plainly name a file."""
    found = tuple(url for pattern in ([urls] if isinstance(urls, str) else urls) for url in expand(pattern))
    for url in found:
        scheme = SCHEME.match(url)
        if "::" in url or (scheme is not None and (scheme[1].lower() not in SCHEMES or "://" not in url)):
            raise UsageError(
                f"{url} is refused: tars are read from paths and {', '.join(sorted(SCHEMES))}, "
                "never through commands or chains of URLs."
            )
    if not found or len(set(found)) != len(found):
        twice = next((url for place, url in enumerate(found) if url in found[:place]), None)
        raise UsageError(f"{twice} is named twice: name each tar once." if twice else "urls names no tar: name some.")
    return found
