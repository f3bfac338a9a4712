"""A split's words in the manifest, when all its shards are made."""

from collections import Counter
from collections.abc import Mapping, Sequence

from tarn.sharding import storage
from tarn.sharding.format.manifest import Split
from tarn.sharding.format.pending import report_name
from tarn.sharding.packing.skipping import refuse_empty, report_of, told_of
from tarn.sharding.packing.writer import Written

# What a split's description in the manifest counts, and where it stands in Written.
COUNTED = {"left_untiled": "left", "content": "content", "made_baseline": "baseline", "normalised": "normalised"}


def split_of(root: str, name: str, plan: Split, written: Mapping[str, Written], source: str) -> Split:
    """What was written; beside what decided its bytes what was done to how many pictures, and how many were skipped, of
    whom a report is published. Raises TarnError where nothing is left.

    written: by the names of the shards."""
    parts = [written[shard.name] for shard in plan.shards]
    infos = tuple(part.info for part in parts if part.info is not None)
    refuse_empty(name, len(infos), source)
    packed = {**plan.packed, **counts(parts)}
    damaged = [damage for part in parts for damage in part.damaged]
    if damaged:
        report, where = report_of(name, damaged, source), report_name(plan.shards[0].name)
        storage.publish(storage.join(root, where), report)
        packed["skipped"] = told_of(report, where)
    return Split(infos, packed)


def counts(parts: Sequence[Written]) -> dict[str, dict[str, int]]:
    """How many pictures were not tiled, by reason, and what was found or done of others, where anything was."""
    found = {
        name: sum((Counter(getattr(part, field)) for part in parts), Counter[str]()) for name, field in COUNTED.items()
    }
    return {name: dict(sorted(it.items())) for name, it in found.items() if it or name == "left_untiled"}
