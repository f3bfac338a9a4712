"""A packing that is under way, and can be gone on with after whatever ended it.

`.pending.json` is its plan, in the form of a manifest: every shard that is coming by its name, its samples as planned,
its bytes and digests not known yet. Beside each shard that is in its place, `train/.train-000000.json` records what the
manifest will say of it. A record is written behind its shard and index: on a disk when the system has written these to
the medium and renamed them, in a store when it has said that it has them whole. So it is never there without them, and
what is there without a record is made anew. When the manifest is there, the records go, and then the plan.
"""

from dataclasses import dataclass

from tarn.sharding import storage
from tarn.sharding.format.manifest import Manifest, Split


def record_name(shard: str) -> str:
    """Below the manifest's folder, of a shard's name."""
    folder, _, name = shard.rpartition("/")
    return f"{folder}/.{name.removesuffix('.tar')}.json"


def report_name(shard: str) -> str:
    """Of the split's pictures that were left out, below the manifest's folder: after any of its shards."""
    return f"{shard.rpartition('/')[2].rpartition('-')[0]}.bad-pictures.jsonl"


def companions(plan: Manifest) -> frozenset[str]:
    """What a packing writes beside shards and indexes."""
    names = [shard.name for split in plan.splits.values() if not split.indexed for shard in split.shards]
    return frozenset(map(record_name, names)) | frozenset(map(report_name, names))


@dataclass(frozen=True, slots=True)
class Progress:
    """Shards that are done, of so many."""

    done: int
    shards: int

    def __str__(self) -> str:
        return f"{self.done:,} of {self.shards:,} shards are done"


def progress(root: str, plan: Manifest) -> Progress:
    """By the records that are there. Raises TarnError."""
    done = total = 0
    for name, split in plan.splits.items():
        records = set(storage.names(storage.join(root, name), ".json"))
        done += sum(record_name(shard.name).rpartition("/")[2] in records for shard in split.shards)
        total += len(split.shards)
    return Progress(done, total)


def is_of_packing(plan: Manifest) -> bool:
    """Whether a pending manifest is a packing's plan; otherwise it is that of indexing."""
    return bool(plan.splits) and not any(split.indexed for split in plan.splits.values())


def names_of(split: Split) -> set[str]:
    return {shard.name for shard in split.shards}


def is_published(plan: Manifest, name: str, present: Manifest | None) -> bool:
    """Whether the dataset's split is the one that was planned: names are never taken twice."""
    there = present.splits.get(name) if present is not None else None
    return there is not None and bool(names_of(there)) and names_of(there) <= names_of(plan.splits[name])
