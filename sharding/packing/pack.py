"""From pictures to a published dataset: plan, make each shard and put it in its place, the manifest last.

What ends it before that (an error, a full disk, Ctrl-C, a kill) leaves the shards that are done, and the same command
goes on with them (see resuming.py); the dataset that was there stays whole and readable.
"""

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from tarn.sharding import storage
from tarn.sharding.errors import TarnError, UsageError
from tarn.sharding.format.leftovers import present
from tarn.sharding.format.lock import only_writer
from tarn.sharding.format.manifest import Manifest, are_numbered_alike
from tarn.sharding.format.pending import Progress, is_published
from tarn.sharding.format.publication import (
    begin,
    commit,
    mend_gathered,
    note_published,
    published_index,
)
from tarn.sharding.packing.earlier import (
    changes,
    lost_splits,
    refuse_foreign_tars,
    refuse_lost_splits,
    refuse_other,
    refuse_other_classes,
    refuse_overlap,
    refuse_tars_without_manifest,
    tidy,
)
from tarn.sharding.packing.engines.engine import Engine, write_all
from tarn.sharding.packing.engines.processes import LOCAL
from tarn.sharding.packing.journal import Journal
from tarn.sharding.packing.kept import refuse_moved
from tarn.sharding.packing.naming import free_infix
from tarn.sharding.packing.planned import Planned, planned_from
from tarn.sharding.packing.preparation import Preparation
from tarn.sharding.packing.publishing import Target
from tarn.sharding.packing.records import mark_of
from tarn.sharding.packing.resuming import (
    differences,
    fits_beside,
    kept_shards,
    leave,
    pending_plan,
    planned_split,
    tell_removed,
)
from tarn.sharding.packing.skipping import CHOICES, refuse_damaged
from tarn.sharding.packing.splits import split_of
from tarn.sharding.packing.staging import split_folders, staging_folder
from tarn.sharding.packing.writer import Task
from tarn.sharding.resharding.words import SampleWords
from tarn.sharding.sources.counts import compare, parse_expect
from tarn.sharding.sources.find import look_at, read_splits
from tarn.sharding.sources.selection import Selection, selected
from tarn.sharding.sources.table import Table
from tarn.sharding.storage.urls import refuse_unnamed


@dataclass(frozen=True, slots=True, kw_only=True)
class PackConfig:
    """split: train, val or all. shard_size: bytes of the pictures as they are at the source.

    workers: shards made at a time; None: as many as the engine has cores for. bad: what to do about unreadable
    pictures, fail as a whole or skip them. prune: remove earlier packings also where it cannot be known whether
    somebody still reads them. source: what it is, see sources/find.py. expect: how much it holds, see
    sources/counts.py. selection: the part that is packed. engine: who makes the shards. table: of
    parquet and listings, how they are read. samples: the same of shards.
    """

    split: str = "all"
    shard_size: int = 100_000_000
    workers: int | None = 1
    seed: int = 0
    preparation: Preparation = field(default_factory=Preparation)
    overwrite: bool = False
    bad: str = "fail"
    prune: bool = False
    source: str = "auto"
    expect: str = "auto"
    selection: Selection = field(default_factory=Selection)
    engine: Engine = LOCAL
    samples: SampleWords = field(default_factory=SampleWords)
    table: Table = field(default_factory=Table)

    def __post_init__(self) -> None:
        parse_expect(self.expect)
        if self.bad not in CHOICES:
            raise UsageError(f"--bad={self.bad!r} is unknown: choose one of {', '.join(CHOICES)}.")
        if self.workers is not None and self.workers < 1:
            raise UsageError(f"--workers={self.workers} must be at least 1.")
        if not -(2**63) <= self.seed < 2**64:
            raise UsageError(f"--seed={self.seed} must be a number of at most 64 bits.")


def pack(
    source: str | os.PathLike[str],
    root: str | os.PathLike[str],
    config: PackConfig,
    tell: Callable[[str], Any] = lambda line: None,
) -> tuple[Manifest, list[str]]:
    """Publishes the splits asked for at root; returns the manifest and the splits that were written now.

    The same source, options and seed give the same bytes, whatever the number of workers, and however often it was
    ended on the way and begun again. What was there before is whole and readable until the new manifest is there.
    Raises TarnError, with nothing published, for a source that does not fit together or holds unreadable pictures, and
    where somebody else writes at root. What ends it, an interrupt too, has a note that says what is done or published.
    tell: takes lines on the source (what it is, what it holds beside pictures, what is missing of it) and on what an
    unfinished packing left.
    """
    root = given(root)
    with config.engine.ready():
        planned = read(source, root, config, tell)
        with only_writer(root):
            return pack_alone(planned, root, config, tell)


def read(source: str | os.PathLike[str], root: str, config: PackConfig, tell: Callable[[str], Any]) -> Planned:
    """What the source holds, looked at, counted and planned. What was made for reading it is gone before the plan is
    made: of two million members of a zip, a gigabyte."""
    how = replace(config.table, skip=config.bad == "skip")
    seen = look_at(source, config.source, how, config.samples)
    refuse_overlap(seen, root)
    tell(f"source: {seen.what}, {seen.name}")
    found = read_splits(seen, config.split)
    if found.passed.found:
        tell(f"passed over: {found.passed}")
    for note in found.notes:
        tell(f"note: {note}")
    for note in compare(found, config.expect, seen.name):
        tell(f"counts: {note}")
    refuse_moved(found.told, config.preparation, config.samples.keep)
    found = selected(found, config.selection, config.seed)
    name, what, splits = seen.name, replace(found, splits={}), dict(found.splits)
    del seen, found
    return planned_from(name, what, splits, config.shard_size, config.seed, config.preparation, config.selection)


def given(root: str | os.PathLike[str]) -> str:
    """As text, with `~` as the home folder. Raises TarnError for what can be no folder's name."""
    refuse_unnamed(root, "the output's name")
    path = storage.local_path(root)
    try:
        if path is not None:
            path.exists()
    except OSError as error:
        raise TarnError(f"{root} cannot be written ({storage.reason(error)}): choose another output.") from error
    return os.fspath(root) if path is None or "://" in os.fspath(root) else str(path)


def pack_alone(
    planned: Planned, root: str, config: PackConfig, tell: Callable[[str], Any]
) -> tuple[Manifest, list[str]]:
    """For who has the lock."""
    found, plans, told = planned.found, planned.plans, planned.told
    before, pending = present(root), pending_plan(root)
    refuse_foreign_tars(before, root)
    if before is not None and not config.overwrite:
        refuse_other_classes(before, found, root)
    lost = lost_splits(before, found.classes, plans.keys()) if before is not None else ""
    if config.split != "all":
        refuse_lost_splits(lost, root)
    todo = {split: told[split] for split in plans if not is_current(before, pending, split, told[split], root, config)}
    if not todo and before is not None:
        tidy(root, config.prune)
        mend_gathered(root, before, pending is not None)
        return before, []
    going_on = pending is not None and fits_beside(pending, before) and not differences(pending, found.classes, todo)
    if pending is not None and not going_on:
        tell_removed(root, pending, before, differences(pending, found.classes, todo), tell)
    tidy(root, config.prune, going_on)
    if before is None and not config.overwrite and not going_on:
        refuse_tars_without_manifest(root, plans)
    if lost:
        tell(f"goes with what is replaced: the split {lost}, of other classes")
    if pending is None or not going_on:
        splits = {
            split: planned_split(split, free_infix(root, split, before), plans[split], todo[split]) for split in todo
        }
        pending = Manifest(found.classes, splits)
    return make(planned, root, before, pending, config, tell), list(todo)


def make(
    planned: Planned,
    root: str,
    before: Manifest | None,
    plan: Manifest,
    config: PackConfig,
    tell: Callable[[str], Any],
) -> Manifest:
    """Makes all that the plan names, except the shards that are there already, and at last the manifest. What ends it
    before that is given a note of what is done and stays for the same command."""
    # a shard that another --check went through may hold other pictures, where bad ones are skipped
    marks = {name: mark_of({**split.packed, "check": config.preparation.check}) for name, split in plan.splits.items()}
    manifest, journal = None, None
    with split_folders(root, plan.splits), staging_folder(root) as staging:
        tasks = [
            Task(shard.name, staging, pictures, config.preparation, config.bad == "skip")
            for name, split in plan.splits.items()
            for shard, pictures in zip(split.shards, planned.plans[name], strict=True)
        ]
        try:
            begin(root, before, plan)
            kept = kept_shards(root, tasks, marks)
            if kept:
                tell(f"going on with an unfinished packing: {Progress(len(kept), len(tasks))}, and kept")
            with Journal(root, marks, kept) as journal:
                rest = [task for task in tasks if task.name not in kept]
                write_all(rest, Target.at(root), config.engine, config.workers, journal.add)
            written = journal.written
            damaged = {
                name: [it for shard in split.shards for it in written[shard.name].damaged]
                for name, split in plan.splits.items()
            }
            refuse_damaged(damaged, config.bad == "skip", planned.source, root)
            splits = {name: split_of(root, name, split, written, planned.source) for name, split in plan.splits.items()}
            manifest = together(before, Manifest(plan.classes, splits))
            commit(root, manifest, before, splits, published_index(root), config.prune)
        except BaseException as error:
            with suppress(TarnError):  # a store that is not there: the next packing does it
                if manifest is None or not note_published(root, manifest, before, error, "pack"):
                    leave(root, Progress(journal.done, len(tasks)) if journal is not None else None, plan, error)
            raise
    return manifest


def together(before: Manifest | None, new: Manifest) -> Manifest:
    """The new splits beside those that stay, by whose names the classes are called then."""
    if before is None or not are_numbered_alike(before.classes, new.classes):
        return new
    stays = before.splits.keys() - new.splits.keys()
    classes = before.classes if stays else new.classes
    return Manifest(classes, dict(sorted({**before.splits, **new.splits}.items())))


def is_current(
    before: Manifest | None, pending: Manifest | None, split: str, told: dict[str, Any], root: str, config: PackConfig
) -> bool:
    """Whether the split lies there already; also where it is to replace an earlier one, and was published by a packing
    that was killed right behind it. Raises UsageError where another one of its name does."""
    if before is None or split not in before.splits:
        return False
    skip = config.bad == "skip"
    if config.overwrite:
        finished = pending is not None and split in pending.splits and is_published(pending, split, before)
        return finished and not changes(before.splits[split], told, skip)
    refuse_other(before.splits[split], split, told, root, skip)
    return True
