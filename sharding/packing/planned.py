"""What is going to be packed: shard by shard, and in the words of the manifest."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tarn.sharding.packing.plan import digest, plan_shards
from tarn.sharding.packing.preparation import Preparation
from tarn.sharding.sources import Picture, Source
from tarn.sharding.sources.selection import Selection


@dataclass(frozen=True, slots=True)
class Planned:
    """source: its name. found: what it holds, but for its pictures. plans: by split, the pictures of each shard. told:
    by split, what decides the bytes of its shards."""

    source: str
    found: Source
    plans: Mapping[str, Sequence[Sequence[Picture]]]
    told: Mapping[str, dict[str, Any]]


def planned_from(
    source: str, found: Source, shard_size: int, seed: int, preparation: Preparation, selection: Selection
) -> Planned:
    plans = {split: plan_shards(pictures, shard_size, seed) for split, pictures in found.splits.items()}
    told = {
        split: {
            "source": found.kind,
            "seed": seed,
            "shard_size": shard_size,
            "plan": digest(plan),
            **preparation.describe(),
            **selection.packed(),
            **found.told,
        }
        for split, plan in plans.items()
    }
    return Planned(source, replace(found, splits={}), plans, told)
