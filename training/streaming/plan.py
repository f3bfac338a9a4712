"""What decides the content of every batch: the dataset, the order's parameters, the geometry of a picture."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tarn.sharding.errors import UsageError
from tarn.sharding.format.manifest import Manifest, ShardInfo
from tarn.sharding.sizes import parse_size
from tarn.training.pixels.geometry import Augmentation, Size
from tarn.training.pixels.preprocessing import Preprocessing
from tarn.training.streaming.access import Access
from tarn.training.streaming.bad_samples import BadSamplesConfig
from tarn.training.streaming.blend import Blend, BlendOrder
from tarn.training.streaming.config import PREFETCH, DataConfig
from tarn.training.streaming.fields.content import Content
from tarn.training.streaming.growth import Growth
from tarn.training.streaming.order import EpochOrder
from tarn.training.streaming.origin import Origin, Origins
from tarn.training.streaming.relabelling import Relabelling
from tarn.training.streaming.state import PartsState, StreamState
from tarn.training.streaming.subset import Subset
from tarn.training.world.ranks import Ranks


@dataclass(frozen=True, kw_only=True)
class StreamPlan:
    """What decides the content of every batch of one rank; plain values, sent to the workers once.

    root: where the manifest and the indexes lie; tars: where the shards do, mostly the same.
    part_size: the most samples of a part (micro-batch). drop_last: leave out the samples behind the last whole global
    batch; otherwise they make a smaller one, of which every rank gets a part, an empty one where there are too few.
    image_size: px, the largest where pictures grow, and the height of those that are no squares (content, what a sample
    becomes). repeats: showings of a picture in a row (repeats.py).
    subset: the samples of the shards that belong to it; None: all. relabelling: what their labels become.
    origins: of several datasets, whose shards are those of the plan one behind the other; blend: how they are mixed in
    training. Then root, tars and subset are not those of all, and access only tells of the cache.
    Raises UsageError where data or ranks cannot fill a global batch.
    """

    root: str
    tars: str
    shards: tuple[ShardInfo, ...]
    seed: int
    global_batch: int
    lanes: int
    active_shards: int
    ranks: Ranks
    part_size: int
    image_size: int
    preprocessing: Preprocessing
    augmentation: Augmentation | None  # None: evaluation, in the manifest's order
    drop_last: bool
    access: Access = field(default_factory=Access)
    bad_samples: BadSamplesConfig = field(default_factory=BadSamplesConfig)
    keys: bool = False
    fidelity: str = "default"
    prefetch: int = parse_size(PREFETCH, "data.prefetch")  # bytes
    decode: str = "cpu"
    growth: Growth | None = None
    repeats: int = 1
    subset: Subset | None = None
    content: Content = field(default_factory=Content)
    relabelling: Relabelling | None = None
    origins: Origins | None = None
    blend: Blend | None = None

    def __post_init__(self) -> None:
        most = self.offered if self.drop_last else self.global_batch
        if not self.ranks.size <= self.global_batch <= most:
            raise UsageError(
                f"global_batch={self.global_batch} must be between the number of ranks ({self.ranks.size}) and the "
                f"{'samples of an epoch' if self.blend else 'pictures of the split'} ({self.offered})."
            )

    @cached_property
    def sources(self) -> Origins:
        """All that samples come from, mostly one dataset."""
        if self.origins is not None:
            return self.origins
        one = Origin(
            root=self.root,
            tars=self.tars,
            shards=self.shards,
            access=self.access,
            subset=self.subset,
            relabelling=self.relabelling,
        )
        return Origins((one,))

    @property
    def is_local(self) -> bool:
        return all(origin.is_local for origin in self.sources.each)

    @property
    def train(self) -> bool:
        return self.augmentation is not None

    @cached_property
    def sizes(self) -> NDArray[np.int64]:
        """Samples of each shard."""
        return self.sources.sizes

    @property
    def offered(self) -> int:
        """Samples of an epoch, of which training leaves out what fills no global batch."""
        return self.blend.epoch_samples if self.blend is not None else int(self.sizes.sum())

    def places(self, shards: NDArray[np.int64], numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        """Where in their shards samples stand, of their numbers among those that belong to the plan."""
        return self.sources.places(shards, numbers)

    def fingerprint(self, manifest: Manifest, split: str) -> str:
        """That of the split, or of what of it belongs to the plan; of several datasets that of all."""
        if self.origins is not None:
            return hashlib.sha256(" ".join(self.origins.fingerprints).encode()).hexdigest()[:16]
        return self.sources.each[0].fingerprint(manifest.fingerprint(split))

    def size_of(self, epoch: int) -> Size:
        """Height and width in px of an epoch's pictures."""
        side = self.growth.size(epoch) if self.growth is not None else self.image_size
        return side, self.content.width or side

    @property
    def largest(self) -> Size:
        """Of all epochs."""
        return self.image_size, self.content.width or self.image_size

    def order(self, epoch: int) -> EpochOrder | BlendOrder:
        """Of an epoch."""
        return BlendOrder(self.blend, epoch) if self.blend is not None else self.own_order(epoch)

    def own_order(self, epoch: int) -> EpochOrder:
        """Where nothing is blended: that of the cycle (repeats.py) that the epoch is part of, mostly itself."""
        return EpochOrder(
            self.sizes, self.seed, epoch // self.repeats, self.lanes, self.active_shards, shuffle=self.train
        )

    @cached_property
    def samples(self) -> int:
        """Samples that an epoch serves over all ranks."""
        count = self.offered
        return count - count % self.global_batch if self.drop_last else count

    @property
    def promise(self) -> str:
        """What is said, in an error, to somebody who found another number of samples."""
        return (
            f"the manifest of {self.root} has {self.samples}: the shards do not belong to it, verify them by "
            "python -m tarn.sharding verify"
        )

    @property
    def steps(self) -> int:
        return -(-self.samples // self.global_batch)

    @cached_property
    def share(self) -> NDArray[np.int64]:
        """This rank's places in a whole global batch."""
        return self.ranks.share(self.global_batch, self.lanes)

    @property
    def rows(self) -> int:
        """The most samples of a batch of this rank: a smaller last global batch may give it one more than others."""
        return min(self.part_size, self.ranks.largest_share(self.global_batch))

    def positions(self, step: int) -> list[NDArray[np.int64]]:
        """Positions of this rank's parts in a step, at least one part, an empty one if need be; parts differ by at most
        one sample, for batch statistics of a small rest are none."""
        first = step * self.global_batch
        count = min(self.global_batch, self.samples - first)
        positions = first + (self.share if count == self.global_batch else self.ranks.share(count))
        return np.array_split(positions, max(1, -(-len(positions) // self.part_size)))


def train_plan(
    data: DataConfig,
    manifest: Manifest,
    ranks: Ranks,
    seed: int,
    global_batch: int,
    micro_batch: int | None,
    keys: bool = False,
    subset: Subset | None = None,
    blended: Mapping[str, Any] | None = None,
) -> StreamPlan:
    """The training stream of this rank. blended: what the plan is told of parts (parts/gathering.py), in place of the
    dataset."""
    return StreamPlan(
        **(blended if blended is not None else of_dataset(data, manifest, subset)),
        seed=seed,
        global_batch=global_batch,
        lanes=data.lanes,
        active_shards=data.active_shards,
        ranks=plain(ranks),
        part_size=micro_batch or global_batch,
        image_size=data.image_size,
        preprocessing=data.preprocessing,
        augmentation=data.augment,
        drop_last=True,
        bad_samples=data.bad_samples,
        keys=keys,
        fidelity=data.fidelity,
        prefetch=parse_size(data.prefetch, "data.prefetch"),
        decode=data.decode,
        growth=data.growth,
        repeats=data.repeats,
    )


def of_dataset(data: DataConfig, manifest: Manifest, subset: Subset | None) -> dict[str, Any]:
    """The training split of data.shards."""
    tars = manifest.shards_root(data.shards)
    shards, access = manifest.split(data.train_split).shards, data.access(tars)
    return {"root": data.shards, "tars": tars, "shards": shards, "access": access, "subset": subset}


def eval_plan(
    root: str,
    manifest: Manifest,
    split: str,
    crop: Preprocessing,
    ranks: Ranks,
    batch: int,
    access: Access,
    subset: Subset | None = None,
) -> StreamPlan:
    """Every picture of a split, or of a subset, exactly once over all ranks, `batch` of them to a rank at a time."""
    return StreamPlan(
        root=root,
        tars=manifest.shards_root(root),
        shards=manifest.split(split).shards,
        seed=0,
        global_batch=batch * ranks.size,
        lanes=1,
        active_shards=1,
        ranks=plain(ranks),
        part_size=batch,
        image_size=crop.crop,
        preprocessing=crop,
        augmentation=None,
        drop_last=False,
        access=access,
        subset=subset,
    )


def check_classes(data: DataConfig, manifest: Manifest) -> None:
    """Raises UsageError where samples have none, for `fit` trains classifiers."""
    if not all(map(manifest.is_labelled, manifest.splits)):
        raise UsageError(
            f"data.shards={data.shards} has no classes (it was made with --label none), and this trains classifiers: "
            "read it by ShardLoader(..., fields=...), in a trainer of your own."
        )


def plain(ranks: Ranks) -> Ranks:
    """The numbers alone: a world's process groups do not travel to workers."""
    return Ranks(ranks.rank, ranks.size, ranks.local_rank, ranks.local_size)


def parts_state(plan: StreamPlan) -> PartsState | None:
    """Of several datasets; in evaluation, one behind the other, they have no weights."""
    if plan.origins is None:
        return None
    return PartsState(
        fingerprints=plan.origins.fingerprints,
        weights=plan.blend.weights if plan.blend is not None else (),
        epoch_samples=plan.samples,
        names=plan.origins.names,
    )


def start_state(plan: StreamPlan, fingerprint: str) -> StreamState:
    """The beginning of a run over this stream."""
    return StreamState(
        fingerprint=fingerprint,
        seed=plan.seed,
        global_batch=plan.global_batch,
        lanes=plan.lanes,
        active_shards=plan.active_shards,
        repeats=plan.repeats,
        parts=parts_state(plan),
    )
