"""A split's words in the manifest, when all its shards are made."""

from collections import Counter
from collections.abc import Mapping

from tarn.sharding import storage
from tarn.sharding.format.manifest import Split
from tarn.sharding.format.pending import report_name
from tarn.sharding.packing.skipping import refuse_empty, report_of, told_of
from tarn.sharding.packing.writer import Written


def split_of(root: str, name: str, plan: Split, written: Mapping[str, Written], source: str) -> Split:
    """What was written, and beside what decided its bytes: how many pictures were not tiled, by reason, and how many
    were skipped, whose report is published. Raises TarnError where nothing is left.

    written: by the names of the shards."""
    parts = [written[shard.name] for shard in plan.shards]
    left: Counter[str] = sum((Counter(part.left) for part in parts), Counter())
    infos = tuple(part.info for part in parts if part.info is not None)
    refuse_empty(name, len(infos), source)
    packed = {**plan.packed, "left_untiled": dict(sorted(left.items()))}
    content: Counter[str] = sum((Counter(part.content) for part in parts), Counter())
    if content:
        packed["content"] = dict(sorted(content.items()))
    damaged = [damage for part in parts for damage in part.damaged]
    if damaged:
        report, where = report_of(name, damaged, source), report_name(plan.shards[0].name)
        storage.publish(storage.join(root, where), report)
        packed["skipped"] = told_of(report, where)
    return Split(infos, packed)
