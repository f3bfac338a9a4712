"""An unfinished packing: whether it is the same one, and which of its shards are good.

A shard is kept where its record tells the size that it has, the digest that its index has, and, as to its tar, the
version: the time of the last write on a disk, the ETag in a store. Where that differs (a folder that was copied), or a
store tells none, the tar's SHA-256 decides. All tars are not read again, for that takes about as long as packing them:
the record came behind bytes that the disk or store had said to have, and what changes later, without a trace, is
`verify`'s to find, as in any dataset.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tarn.sharding import storage
from tarn.sharding.format.leftovers import files_of, manifest_of, sweep
from tarn.sharding.format.manifest import PENDING, ClassInfo, Manifest, ShardInfo, Split
from tarn.sharding.format.pending import Progress, is_of_packing, is_published, progress, record_name
from tarn.sharding.format.publication import newest_retired
from tarn.sharding.packing.naming import shard_name
from tarn.sharding.packing.records import Record
from tarn.sharding.packing.writer import Task, Written
from tarn.sharding.sources import Picture

LOOKING = 16  # shards looked at at a time


def planned_split(split: str, infix: str, plan: Sequence[Sequence[Picture]], told: Mapping[str, Any]) -> Split:
    """A split that is coming; of its shards only names and numbers of pictures are known."""
    infos = (ShardInfo(shard_name(split, infix, number), len(shard), 0, "", "") for number, shard in enumerate(plan))
    return Split(tuple(infos), dict(told))


def pending_plan(root: str) -> Manifest | None:
    """Of a packing that did not come to its end. Raises TarnError."""
    plan = manifest_of(root, PENDING) if storage.exists(storage.join(root, PENDING)) else None
    return plan if plan is not None and is_of_packing(plan) else None


def differences(plan: Manifest, classes: Sequence[ClassInfo], told: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """What is another in the packing that is to be made now: its classes, its splits, a split's options. told: by
    split."""
    found = ["classes"] if plan.classes != tuple(classes) else []
    found += ["splits"] if plan.splits.keys() != told.keys() else []
    for name in plan.splits.keys() & told.keys():
        there, here = plan.splits[name].packed, told[name]
        found += [word for word in sorted({**there, **here}) if there.get(word) != here.get(word) and word not in found]
    return found


def fits_beside(plan: Manifest, before: Manifest | None) -> bool:
    """Whether none of its names is the dataset's."""
    return not files_of(plan) & files_of(before)


def kept_shards(root: str, tasks: Sequence[Task], marks: Mapping[str, str]) -> dict[str, Written]:
    """Those that need not be made again, by name. marks: of each split's packing. Raises TarnError."""
    states = {split: storage.states(storage.join(root, split)) for split in marks}

    def look(task: Task) -> Written | None:
        split, _, _ = task.name.partition("/")
        return kept(root, task, marks[split], states[split])

    with ThreadPoolExecutor(LOOKING) as pool:
        return {
            task.name: written
            for task, written in zip(tasks, pool.map(look, tasks), strict=True)
            if written is not None
        }


def kept(root: str, task: Task, mark: str, states: Mapping[str, storage.State]) -> Written | None:
    name = record_name(task.name)
    if name.rpartition("/")[2] not in states:
        return None
    record = Record.from_json(storage.read_bytes(storage.join(root, name)), task)
    if record is None or record.packing != mark:
        return None
    info = record.written.info
    return record.written if info is None or is_whole(root, info, record.version, states) else None


def is_whole(root: str, info: ShardInfo, version: str | None, states: Mapping[str, storage.State]) -> bool:
    tar, index = (states.get(name.rpartition("/")[2]) for name in (info.name, info.index_name))
    if tar is None or tar.size != info.bytes or index is None or index.size != info.index_size:
        return False
    if hashlib.sha256(storage.read_bytes(storage.join(root, info.index_name))).hexdigest() != info.index_sha256:
        return False
    is_same_tar = tar.version is not None and tar.version == version
    return is_same_tar or storage.sha256(storage.join(root, info.name)) == info.sha256


def leave(root: str, made: Progress | None, plan: Manifest, error: BaseException) -> None:
    """What is done stays for the same command, and the error says so; where nothing is, nothing does. made: None where
    only the records tell. Raises TarnError."""
    made = made if made is not None else progress(root, plan)
    if made.done:
        error.add_note(f"{made}, and kept: the same command goes on from there.")
    sweep(root, newest_retired(root), going_on=made.done > 0)


def tell_removed(
    root: str, plan: Manifest, before: Manifest | None, other: Sequence[str], tell: Callable[[str], Any]
) -> None:
    """Of what an unfinished packing left, unless its manifest was published."""
    done = progress(root, plan)
    if done.done and not any(is_published(plan, split, before) for split in plan.splits):
        reason = f"another {', '.join(other)}" if other else "names that the dataset has now"
        tell(f"removed: what an unfinished packing left, which had {reason} ({done})")
