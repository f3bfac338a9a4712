"""A split's words in the manifest, when all its shards are made."""

from collections.abc import Mapping

from tarn.sharding import storage
from tarn.sharding.format.manifest import Split
from tarn.sharding.format.pending import report_name
from tarn.sharding.packing.counts import counts
from tarn.sharding.packing.skipping import refuse_empty, report_of, told_of
from tarn.sharding.packing.writer import Written


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
