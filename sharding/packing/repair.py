"""`python -m tarn.sharding repair`: what is broken or missing of a packed dataset, made anew from its source.

The manifest is what holds: every file is compared with its digests, and what is not right is made by the recorded
options and compared again before it takes the place. Readers never see anything but the one or the other, whole.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from tarn.sharding import storage
from tarn.sharding.errors import TarnError, UsageError
from tarn.sharding.format.lock import only_writer
from tarn.sharding.format.manifest import Manifest, Split, are_numbered_alike, read_manifest
from tarn.sharding.format.publication import mend_gathered
from tarn.sharding.packing.broken import Broken, find_broken, touches
from tarn.sharding.packing.engines.engine import Engine, write_all
from tarn.sharding.packing.engines.processes import LOCAL
from tarn.sharding.packing.journal import settle
from tarn.sharding.packing.naming import number_of
from tarn.sharding.packing.plan import digest, plan_shards
from tarn.sharding.packing.preparation import Preparation
from tarn.sharding.packing.publishing import Target
from tarn.sharding.packing.skipping import report_of, told_of
from tarn.sharding.packing.staging import staging_folder
from tarn.sharding.packing.writer import Damage, Task, Written, write_shard
from tarn.sharding.sources import Picture, Source
from tarn.sharding.sources.find import PLAIN, look_again_at_all, read_splits
from tarn.sharding.sources.selection import Selection, selected
from tarn.sharding.sources.sight import Sight
from tarn.sharding.sources.table import Table

Plan = Sequence[Sequence[Picture]]


def repair(
    root: str,
    source: str | os.PathLike[str],
    workers: int | None = 1,
    check: str = "sample",
    engine: Engine = LOCAL,
    table: Table = PLAIN,
) -> tuple[str, ...]:
    """Names of what was made anew, in the order of the manifest; the bytes are those that it tells. workers: as in
    PackConfig. check: as it was packed, see Preparation. table: where that of a listing lies which the manifest does
    not tell.

    Raises UsageError where the source is not the one that was packed, or the dataset was not packed from pictures;
    TarnError where something cannot be made as it was.
    """
    if workers is not None and workers < 1:
        raise UsageError(f"--workers={workers} must be at least 1.")
    with engine.ready(), only_writer(root):
        return repair_alone(root, source, workers, check, engine, table)


def repair_alone(
    root: str, source: str | os.PathLike[str], workers: int | None, check: str, engine: Engine, table: Table
) -> tuple[str, ...]:
    """For who has the lock."""
    manifest = read_manifest(root)
    if any(split.indexed for split in manifest.splits.values()):
        raise UsageError(f"{root} holds the index of tars that were packed elsewhere: index them again.")
    seen = look_again_at_all(source, {name: split.packed for name, split in manifest.splits.items()}, table)
    broken = find_broken(root, manifest)
    plans = {
        name: plan_again(root, seen[name], name, manifest, check)
        for name, split in manifest.splits.items()
        if touches(broken, split)
    }
    for name, planned in plans.items():
        repair_split(root, name, manifest.splits[name], planned, broken, engine, workers)
    mend_gathered(root, manifest, missing=True)
    return broken.names


def plan_again(root: str, seen: Sight, name: str, manifest: Manifest, check: str) -> tuple[str, Plan, Preparation]:
    """And the source's name. Raises UsageError where the source is another one, or this Tarn would make other bytes."""
    packed = manifest.splits[name].packed
    found = selected(read_splits(seen, name), Selection.of(packed), packed["seed"])
    plan = plan_shards(found.splits[name], packed["shard_size"], packed["seed"])
    if digest(plan) != packed["plan"] or not are_numbered_alike(found.classes, manifest.classes):
        raise UsageError(
            f"{seen.name} is not what the split {name!r} of {root} was packed from "
            f"({difference(found, name, manifest)}): "
            "give the very source, or pack it anew by --overwrite."
        )
    preparation = preparation_of(packed, check)
    other = [word for word, value in preparation.describe().items() if packed.get(word) != value]
    if other:
        raise UsageError(
            f"{root} was packed with another {', '.join(other)} ({', '.join(str(packed.get(word)) for word in other)}) "
            "than is here, which would make other bytes: install that, or pack it anew by --overwrite."
        )
    return seen.name, plan, preparation


def difference(found: Source, name: str, manifest: Manifest) -> str:
    here, split = len(found.splits[name]), manifest.splits[name]
    there = split.samples + split.skipped
    if not are_numbered_alike(found.classes, manifest.classes):
        return f"its {len(found.classes):,} classes are not the {len(manifest.classes):,} that were packed"
    if here != there:
        return f"it has {here:,} pictures, {there:,} were packed"
    return "names, labels or sizes of its pictures differ"


def preparation_of(packed: Mapping[str, Any], check: str) -> Preparation:
    """As the manifest records it."""
    told: dict[str, Any] = {word.name: packed[word.name] or None for word in fields(Preparation) if word.name in packed}
    told |= {"tile": packed["tile"], "normalise": "normalise" in packed, "check": check}
    return Preparation(**told)


def repair_split(
    root: str,
    name: str,
    split: Split,
    planned: tuple[str, Plan, Preparation],
    broken: Broken,
    engine: Engine,
    workers: int | None,
) -> None:
    """Its shards, then its report. Raises TarnError."""
    source, plan, preparation = planned
    infos, skip = {number_of(shard.name): shard for shard in split.shards}, split.skipped > 0
    with staging_folder(root) as staging:
        tasks = [
            Task(info.name, staging, plan[number], preparation, skip, expected=info)
            for number, info in infos.items()
            if info.name in broken.shards
        ]
        write_all(tasks, Target.at(root), engine, workers, lambda task, written: settle_all(root, written))
        if split.report in broken.reports:
            damaged: list[Damage] = []
            for number, pictures in enumerate(plan):
                if number not in infos or infos[number].samples < len(pictures):
                    task = Task(f"{name}/again.tar", staging, pictures, preparation, skip)
                    damaged += write_shard(task, lambda pictures, data: None).damaged
            publish_report(root, name, split, damaged, source)


def settle_all(root: str, written: Written) -> None:
    if written.info is not None:
        settle(root, [written.info.name, written.info.index_name])


def publish_report(root: str, name: str, split: Split, damaged: Sequence[Damage], source: str) -> None:
    """Raises TarnError where it is not the one of the manifest."""
    report, where = report_of(name, damaged, source), str(split.report)
    if told_of(report, where) != split.packed["skipped"]:
        raise TarnError(
            f"{storage.join(root, where)} cannot be made as it was: other pictures of {source} are unreadable now, or "
            "it was packed with another --check."
        )
    storage.publish(storage.join(root, where), report)
