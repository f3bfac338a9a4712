"""From parts as people write them to what a plan needs: manifests, samples, labels, shares."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import gcd, lcm
from typing import Any

from tarn.sharding.errors import UsageError
from tarn.sharding.format.manifest import ClassInfo, Manifest, read_manifest
from tarn.training.streaming.access import AccessConfig
from tarn.training.streaming.blend import Blend
from tarn.training.streaming.config import OrderConfig
from tarn.training.streaming.origin import Origin, Origins
from tarn.training.streaming.part import Part
from tarn.training.streaming.parts.classes import mapped, numbers_of
from tarn.training.streaming.parts.labels import read_table
from tarn.training.streaming.parts.selection import Selection
from tarn.training.streaming.relabelling import Relabelling
from tarn.training.streaming.remote.source import source_of

Classes = tuple[ClassInfo, ...]
MOST_SAMPLES = 2**62  # of an epoch


@dataclass(frozen=True, slots=True)
class Gathered:
    """Parts that were opened. classes: of all; manifests: to be held as long as their files are read; notes: what
    somebody should know of what was chosen."""

    parts: tuple[Part, ...]
    origins: Origins
    classes: Classes
    manifests: tuple[Manifest, ...]
    notes: tuple[str, ...] = ()

    def data(self, blend: Blend | None) -> dict[str, Any]:
        """What a StreamPlan is told of them. blend: of several in training."""
        first = self.origins.each[0]
        told: dict[str, Any] = {"root": first.root, "tars": first.tars, "access": self.access()}
        if len(self.parts) == 1 and blend is None:
            more = {"subset": first.subset, "relabelling": first.relabelling}
            return {**told, "shards": first.shards, **more}
        shards = tuple(shard for origin in self.origins.each for shard in origin.shards)
        return {**told, "shards": shards, "origins": self.origins, "blend": blend}

    def access(self) -> Any:
        """That of a part in a store, where there is one, for it tells of the cache."""
        return next((each.access for each in self.origins.each if not each.is_local), self.origins.each[0].access)


def gathered(parts: Sequence[Part], split: str, access: AccessConfig, known: Classes | None = None) -> Gathered:
    """split, access: of those that tell none of their own. known: classes of the stream; None: those of the first part.
    Raises UsageError for parts that do not fit together, TarnError for what cannot be read; both name the part."""
    origins, names, fingerprints, manifests = list[Origin](), list[str](), list[str](), list[Manifest]()
    notes: list[str] = []
    for part in parts:
        how = replace(access, storage_options=part.options(access.storage_options), client=part.client or access.client)
        manifest = read_manifest(part.url, how.storage_options)
        known = manifest.classes if known is None else known
        origin, known = opened(part, manifest, part.split or split, how, known, notes)
        manifests.append(manifest)
        origins.append(origin)
        names.append(f"{part.url}, {part.split or split}")
        fingerprints.append(origin.fingerprint(manifest.fingerprint(part.split or split)))
    assert known is not None
    together = Origins(tuple(origins), tuple(names), tuple(fingerprints))
    return Gathered(tuple(parts), together, known, tuple(manifests), tuple(notes))


def opened(
    part: Part, manifest: Manifest, split: str, how: AccessConfig, known: Classes, notes: list[str]
) -> tuple[Origin, Classes]:
    """One part, and the stream's classes with it. notes: more are put there."""
    tars = manifest.shards_root(part.url)
    if split not in manifest.splits:
        raise UsageError(
            f"{part.url} has no split {split!r}: name one that it has by Part(..., split=...): "
            f"{', '.join(sorted(manifest.splits)) or 'none'}."
        )
    shards, access = manifest.split(split).shards, how.resolve(tars)
    numbers, classes = class_numbers(part, manifest, known)
    table = read_table(part.labels, classes) if part.labels is not None else None
    subset, joined = None, None
    if not part.is_whole or table is not None:
        source = source_of(part.url, tars, shards, access)
        selection = Selection(part, manifest, split, source, table, how.folder())
        chosen = selection.made()
        notes += selection.notes()
        joined = tuple(chosen.joined) if table is not None else None
        subset = chosen.subset() if not part.is_whole or part.missing == "drop" else None
    relabelling = None
    if numbers is not None or table is not None:
        relabelling = Relabelling(numbers, joined, table.sha256 if table is not None else "")
    origin = Origin(root=part.url, tars=tars, shards=shards, access=access, subset=subset, relabelling=relabelling)
    if not origin.samples:
        raise UsageError(
            f"{part.url}: nothing of {split!r} is chosen: make its classes, keys, fraction or samples wider."
        )
    return origin, classes


def class_numbers(part: Part, manifest: Manifest, known: Classes) -> tuple[tuple[int, ...] | None, Classes]:
    used = numbers_of(part.classes, manifest.classes, part.url) if part.classes else None
    return mapped(part, manifest.classes, known, used)


def blend_of(found: Gathered, seed: int, global_batch: int, order: OrderConfig) -> Blend:
    """How they are mixed. Raises UsageError for shares that do not go together."""
    if order.repeats > 1:
        raise UsageError(
            f"repeats={order.repeats} is of a single dataset whose epoch is its own: leave repeats out, or the parts "
            "and epoch_samples."
        )
    weights, epoch = shares(found.parts, [origin.samples for origin in found.origins.each])
    if order.epoch_samples is None and epoch >= MOST_SAMPLES:
        raise UsageError(
            f"an epoch is one pass of {found.parts[0].url}, and by these weights {epoch:.0e} samples: begin with a "
            "part of a larger weight, or set epoch_samples."
        )
    epoch = order.epoch_samples or epoch
    return Blend(
        origins=found.origins,
        weights=weights,
        seed=seed,
        global_batch=global_batch,
        epoch_samples=epoch - epoch % global_batch if epoch > global_batch else epoch,
        lanes=order.lanes,
        active_shards=order.active_shards,
    )


def shares(parts: Sequence[Part], samples: Sequence[int]) -> tuple[tuple[int, ...], int]:
    """Weights as whole numbers, and the samples of an epoch: of one pass of the first part, or of the passes told."""
    weighted = [part for part in parts if part.weight is not None]
    if weighted and (len(weighted) < len(parts) or any(part.passes is not None for part in parts)):
        raise UsageError(
            f"{len(weighted)} of {len(parts)} parts tell a weight: give each a weight and none passes, or none a "
            "weight."
        )
    if weighted:
        exact = [exactly(part.weight) for part in parts]
        epoch = Fraction(samples[0]) * sum(exact) / exact[0]
    else:
        exact = [exactly(part.passes or 1) * count for part, count in zip(parts, samples, strict=True)]
        epoch = sum(exact, Fraction(0))
    scale = lcm(*(each.denominator for each in exact))
    whole = [int(each * scale) for each in exact]
    return tuple(each // gcd(*whole) for each in whole), int(epoch)


def exactly(told: float | None) -> Fraction:
    """As it was written: 0.1 is a tenth."""
    return Fraction(str(told))
