"""What decides the content of every batch: the dataset, the order's parameters, the geometry of a picture."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from sharding.errors import UsageError
from sharding.manifest import Manifest, ShardInfo
from training.preprocessing import Preprocessing, Triple
from training.streaming.decode import Augmentation
from training.streaming.order import EpochOrder
from training.streaming.state import StreamState
from training.world import World


@dataclass(frozen=True, slots=True, kw_only=True)
class DataConfig:
    """shards: folder or URL of a packed dataset. lanes and active_shards: see order.py.

    image_size: px of a training picture and, unless eval_crop says otherwise, of an evaluation picture.
    workers: decoding processes of each rank; null: one for each CPU core, a single one where the CPU trains too.
    """

    shards: str = "build/sample"
    train_split: str = "train"
    val_split: str = "val"
    image_size: int = 224
    eval_resize: int = 256
    eval_crop: int | None = None
    mean: Triple = (0.485, 0.456, 0.406)
    std: Triple = (0.229, 0.224, 0.225)
    augment: Augmentation = field(default_factory=Augmentation)
    lanes: int = 8
    active_shards: int = 32
    workers: int | None = None

    def __post_init__(self) -> None:
        for name in ("image_size", "lanes", "active_shards"):
            if getattr(self, name) < 1:
                raise UsageError(f"data.{name}={getattr(self, name)} must be at least 1.")
        if self.workers is not None and self.workers < 0:
            raise UsageError(f"data.workers={self.workers} must be at least 0, or null for all cores.")

    @property
    def preprocessing(self) -> Preprocessing:
        crop = self.eval_crop or self.image_size
        return Preprocessing(resize=self.eval_resize, crop=crop, mean=self.mean, std=self.std)

    def worker_count(self, world: World) -> int:
        if self.workers is not None:
            return self.workers
        return 1 if world.device.type == "cpu" else world.cores()


@dataclass(frozen=True, kw_only=True)
class StreamPlan:
    """What decides the content of every batch of one rank; plain values, sent to the workers once.

    offsets: this rank's places in a global batch; part_size: the most samples of a part (micro-batch).
    """

    root: str
    shards: tuple[ShardInfo, ...]
    seed: int
    global_batch: int
    lanes: int
    active_shards: int
    offsets: NDArray[np.int64]
    part_size: int
    image_size: int
    preprocessing: Preprocessing
    augmentation: Augmentation | None  # None: evaluation, in the manifest's order, nothing left out

    @property
    def train(self) -> bool:
        return self.augmentation is not None

    def order(self, epoch: int) -> EpochOrder:
        sizes = [shard.samples for shard in self.shards]
        return EpochOrder(sizes, self.seed, epoch, self.lanes, self.active_shards, shuffle=self.train)

    @cached_property
    def samples(self) -> int:
        """Samples that an epoch serves: whole global batches in training, everything in evaluation."""
        count = sum(shard.samples for shard in self.shards)
        if self.train:
            count -= count % self.lanes
            count -= count % self.global_batch
        return count

    @property
    def steps(self) -> int:
        return -(-self.samples // self.global_batch)

    def positions(self, step: int) -> list[NDArray[np.int64]]:
        """Positions of this rank's parts in a step; empty where the last batch does not reach this rank."""
        positions = step * self.global_batch + self.offsets
        positions = positions[positions < self.samples]
        return [positions[at : at + self.part_size] for at in range(0, len(positions), self.part_size)]


def train_plan(
    data: DataConfig, manifest: Manifest, world: World, seed: int, global_batch: int, micro_batch: int | None
) -> StreamPlan:
    """The training stream of this rank. Raises UsageError for a global batch that data or ranks cannot fill."""
    split = manifest.split(data.train_split)
    if not world.size <= global_batch <= split.samples // data.lanes * data.lanes:
        raise UsageError(
            f"optim.global_batch={global_batch} must be between the number of ranks ({world.size}) and the "
            f"pictures of split {data.train_split!r} ({split.samples}, in {data.lanes} lanes of equal length)."
        )
    return StreamPlan(
        root=data.shards,
        shards=split.shards,
        seed=seed,
        global_batch=global_batch,
        lanes=data.lanes,
        active_shards=data.active_shards,
        offsets=world.share(global_batch, data.lanes),
        part_size=micro_batch or global_batch,
        image_size=data.image_size,
        preprocessing=data.preprocessing,
        augmentation=data.augment,
    )


def eval_plan(root: str, manifest: Manifest, split: str, crop: Preprocessing, world: World, batch: int) -> StreamPlan:
    """Every picture of a split exactly once over all ranks, `batch` of them to a rank at a time."""
    return StreamPlan(
        root=root,
        shards=manifest.split(split).shards,
        seed=0,
        global_batch=batch * world.size,
        lanes=1,
        active_shards=1,
        offsets=world.share(batch * world.size, 1),
        part_size=batch,
        image_size=crop.crop,
        preprocessing=crop,
        augmentation=None,
    )


def start_state(plan: StreamPlan, fingerprint: str) -> StreamState:
    """The beginning of a run over this stream."""
    return StreamState(
        fingerprint=fingerprint,
        seed=plan.seed,
        global_batch=plan.global_batch,
        lanes=plan.lanes,
        active_shards=plan.active_shards,
    )
