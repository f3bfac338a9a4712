"""What is going to be packed: shard by shard, and in the words of the manifest."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tarn.sharding.packing.plan import digest, plan_shards
from tarn.sharding.packing.preparation import Preparation
from tarn.sharding.sources import Picture, Source
from tarn.sharding.sources.selection import Selection


@dataclass(frozen=True, slots=True)
class Planned:
    """source: its name. found: what it is, without pictures. plans: by split, the pictures of each shard. told:
    by split, what decides the bytes of its shards."""

    source: str
    found: Source
    plans: Mapping[str, Sequence[Sequence[Picture]]]
    told: Mapping[str, dict[str, Any]]


def planned_from(
    source: str,
    found: Source,
    splits: dict[str, tuple[Picture, ...]],
    shard_size: int,
    seed: int,
    preparation: Preparation,
    selection: Selection,
) -> Planned:
    """splits: the pictures, found has none; empty in the end, for two lists of them are too many."""
    plans = {split: plan_shards(splits.pop(split), shard_size, seed) for split in list(splits)}
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
    return Planned(source, found, plans, told)
