"""A packed or indexed dataset against its manifest: fast by presence and sizes, or every byte of it."""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass

from tarn.sharding import storage
from tarn.sharding.checking.fast import check_fast
from tarn.sharding.checking.labels import check_labels
from tarn.sharding.checking.repeated import check_repeated
from tarn.sharding.checking.shard import Checked, Task
from tarn.sharding.checking.workers import check_all
from tarn.sharding.errors import TarnError, UsageError
from tarn.sharding.foreign.check import check_repeats
from tarn.sharding.foreign.classes import numbers_of
from tarn.sharding.foreign.reading import Reading
from tarn.sharding.format.gathered import check_gathered
from tarn.sharding.format.litter import litter, stray_tars
from tarn.sharding.format.manifest import Manifest, Split
from tarn.sharding.interchange.described import check_described
from tarn.sharding.resharding.others import KEPT
from tarn.sharding.sources.find import PLAIN
from tarn.sharding.sources.table import Table


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyConfig:
    """fast: sizes, presence and the digests of indexes, no tar is read. decode: every picture. source: what was packed,
    whose labels are compared by key. workers: processes; None: as many as there are cores and work for.
    table: where that of a listing lies which the manifest does not tell.

    Raises UsageError.
    """

    fast: bool = False
    decode: bool = False
    source: str | os.PathLike[str] | None = None
    workers: int | None = None
    table: Table = PLAIN

    def __post_init__(self) -> None:
        if self.fast and (self.decode or self.source is not None):
            raise UsageError("--fast reads no pictures and no keys: leave it out, or --decode and --source.")
        if self.workers is not None and self.workers < 1:
            raise UsageError(f"--workers={self.workers} must be at least 1.")


def verify(root: str | os.PathLike[str], manifest: Manifest, config: VerifyConfig | None = None) -> list[str]:
    """One sentence for each thing that is wrong; none for a sound dataset, beside which nothing lies about."""
    root, config = os.fspath(root), config or VerifyConfig()
    problems = list(litter(root, manifest))
    for name, split in manifest.splits.items():
        problem = check_gathered(root, name, split)
        problems += [problem] if problem is not None else []
        problems += check_report(root, split)
    problems += check_described(root, manifest, deep=not config.fast)
    problems += check_fast(root, manifest) if config.fast else check_deep(root, manifest, config)
    if not any(split.indexed for split in manifest.splits.values()):
        problems += stray_tars(root, manifest)
    return problems


def check_deep(root: str, manifest: Manifest, config: VerifyConfig) -> Iterator[str]:
    tasks = tasks_of(root, manifest, config.decode)
    checked = check_all(tasks, config.workers)
    for name, split in manifest.splits.items():
        mine = [number for number, task in enumerate(tasks) if task.split == name]
        parts, theirs = [checked[number] for number in mine], [tasks[number] for number in mine]
        for part in parts:
            yield from part.problems
        yield from check_repeats_of(split, theirs, parts)
        if config.source is not None:
            yield from check_labels(root, manifest, name, theirs, parts, config.source, config.table)


def check_repeats_of(split: Split, tasks: list[Task], checked: list[Checked]) -> Iterator[str]:
    if not split.indexed:
        yield from check_repeated(tasks, checked)
        return
    sound = [(task.shard.name, it.samples) for task, it in zip(tasks, checked, strict=True) if it.samples is not None]
    if sound:
        yield from check_repeats(tasks[0].tars, *zip(*sound, strict=True))


def tasks_of(root: str, manifest: Manifest, decode: bool) -> list[Task]:
    tasks, tars = [], manifest.shards_root(root)
    for name, split in manifest.splits.items():
        reading = Reading.of(split.packed) if split.indexed else None
        numbers = numbers_of(manifest.classes) if split.indexed else None
        for shard in split.shards:
            kept = tuple(split.packed.get(KEPT, ()))
            tasks.append(Task(root, tars, name, shard, len(manifest.classes), decode, reading, numbers, kept))
    return tasks


def check_report(root: str, split: Split) -> Iterator[str]:
    """That of the pictures that were left out, where there are any."""
    if split.report is None:
        return
    url = storage.join(root, split.report)
    try:
        raw = storage.read_bytes(url)
    except TarnError as error:
        yield str(error)
        return
    if hashlib.sha256(raw).hexdigest() != split.packed["skipped"]["sha256"] or raw.count(b"\n") != split.skipped:
        yield f"{url} is not the report of the {split.skipped} skipped pictures of the manifest: copy or pack it again."
