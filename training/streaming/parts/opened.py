"""The data of a loader, opened: one dataset as it lies there, or parts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tarn.sharding.format.manifest import ClassInfo, Manifest, read_manifest
from tarn.training.streaming.access import AccessConfig
from tarn.training.streaming.config import OrderConfig
from tarn.training.streaming.part import Part
from tarn.training.streaming.parts.gathering import blend_of, gathered, is_blended
from tarn.training.streaming.remote.opening import Start, early_start


@dataclass(frozen=True, slots=True)
class Opened:
    """data: what a StreamPlan is told of it. manifests: of each part; split: of the first. start: what was asked of its
    store before. blended: whether epochs are stretches of a stream."""

    data: dict[str, Any]
    manifests: tuple[Manifest, ...]
    split: str
    classes: tuple[ClassInfo, ...]
    start: Start | None = None
    blended: bool = False


def open_parts(
    parts: Sequence[Part],
    split: str,
    access: AccessConfig,
    order: OrderConfig,
    train: bool,
    seed: int,
    global_batch: int,
) -> Opened:
    """split, access: of parts that tell none of their own. Raises UsageError, TarnError."""
    blended = train and is_blended(parts, order)
    if len(parts) == 1 and parts[0].is_plain and not blended:
        return open_one(parts[0].url, split, access)
    found = gathered(parts, split, access)
    blend = blend_of(found, seed, global_batch, order) if blended else None
    return Opened(found.data(blend), found.manifests, parts[0].split or split, found.classes, blended=blended)


def open_one(url: str, split: str, access: AccessConfig) -> Opened:
    """All of one dataset."""
    options = dict(access.storage_options)
    start = early_start(url, split, options, access.client, access.deadline)
    manifest = read_manifest(url, options, start.reader.client if start else None)
    tars, shards = manifest.shards_root(url), manifest.split(split).shards
    data = {"root": url, "tars": tars, "shards": shards, "access": access.resolve(tars)}
    return Opened(data, (manifest,), split, manifest.classes, start)
