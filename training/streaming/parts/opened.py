"""The data of a loader, opened: one dataset as it lies there, or parts.

What parts need is imported where there are any: a first batch of one dataset is there sooner.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tarn.sharding.errors import UsageError
from tarn.sharding.format.manifest import ClassInfo, Manifest, read_manifest
from tarn.training.streaming.access import AccessConfig
from tarn.training.streaming.config import DataConfig, OrderConfig
from tarn.training.streaming.contents import check_labelled
from tarn.training.streaming.part import Part
from tarn.training.streaming.remote.opening import Start, early_start

Classes = tuple[ClassInfo, ...]


@dataclass(frozen=True, slots=True)
class Opened:
    """data: what a StreamPlan is told of it. manifests: of each part; split: of the first. start: what was asked of its
    store before. blended: whether epochs are stretches of a stream. notes: what somebody should know."""

    data: dict[str, Any]
    manifests: tuple[Manifest, ...]
    split: str
    classes: Classes
    start: Start | None = None
    blended: bool = False
    notes: tuple[str, ...] = ()


def open_parts(
    parts: Sequence[Part],
    split: str,
    access: AccessConfig,
    order: OrderConfig,
    train: bool,
    seed: int,
    global_batch: int,
    known: Classes | None = None,
) -> Opened:
    """split, access: of parts that tell none of their own. known: classes of the stream; None: those of the first part.
    Raises UsageError, TarnError."""
    blended = train and (len(parts) > 1 or order.epoch_samples is not None or known is not None)
    if len(parts) == 1 and parts[0].is_plain and not blended:
        return open_one(parts[0].url, split, access)
    from tarn.training.streaming.parts.gathering import blend_of, gathered

    found = gathered(parts, split, access, known)
    blend = blend_of(found, seed, global_batch, order) if blended else None
    split = parts[0].split or split
    return Opened(found.data(blend), found.manifests, split, found.classes, blended=blended, notes=found.notes)


def open_one(url: str, split: str, access: AccessConfig) -> Opened:
    """All of one dataset."""
    options = dict(access.storage_options)
    start = early_start(url, split, options, access.client, access.deadline)
    manifest = read_manifest(url, options, start.reader.client if start else None)
    tars, shards = manifest.shards_root(url), manifest.split(split).shards
    data = {"root": url, "tars": tars, "shards": shards, "access": access.resolve(tars)}
    return Opened(data, (manifest,), split, manifest.classes, start)


def open_blend(data: DataConfig, classes: Classes, seed: int, global_batch: int) -> Opened | None:
    """Of a run that trains on data.blend; None where it trains on data.shards. classes: of data.shards, on which it
    validates. Raises UsageError for a part that has others."""
    if not data.blend:
        return None
    order = OrderConfig(lanes=data.lanes, active_shards=data.active_shards, epoch_samples=data.epoch_samples)
    found = open_parts(data.blend, data.train_split, data.access_config, order, True, seed, global_batch, classes)
    check_labelled(data.blend, found.manifests, data.train_split)
    if len(found.classes) != len(classes):
        raise UsageError(
            f"data.blend has {len(found.classes)} classes with its label_offset, and data.shards={data.shards}, on "
            f"which the run validates, {len(classes)}: give one that has all of them."
        )
    return found
