"""From pictures to a published dataset: plan, write all shards aside, put them in place, the manifest last."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tarn.sharding import storage
from tarn.sharding.cores import available_cores
from tarn.sharding.errors import UsageError
from tarn.sharding.format.leftovers import present
from tarn.sharding.format.lock import only_writer
from tarn.sharding.format.manifest import Manifest, Split
from tarn.sharding.format.publication import mend_gathered
from tarn.sharding.packing.counts import COUNTED, counts
from tarn.sharding.packing.naming import free_infix, shard_name
from tarn.sharding.packing.plan import digest, plan_shards
from tarn.sharding.packing.preparation import Preparation
from tarn.sharding.packing.publishing import publish, tidy
from tarn.sharding.packing.skipping import CHOICES, refuse_damaged, refuse_empty, report_name, write_report
from tarn.sharding.packing.staging import split_folders, staging_folder
from tarn.sharding.packing.workers import write_all
from tarn.sharding.packing.writer import Task, Written
from tarn.sharding.sources import Picture, Source
from tarn.sharding.sources.find import read_source
from tarn.sharding.sources.kaggle import is_kaggle


@dataclass(frozen=True, slots=True, kw_only=True)
class PackConfig:
    """split: train, val or all. shard_size: bytes of the pictures as they are at the source.

    workers: processes; None: as many as there are cores, one where pictures are kept as they are, for the disk and the
    checksums then take the time. bad: what to do about unreadable pictures, fail as a whole or skip them. prune: remove
    earlier packings also where it cannot be known whether somebody still reads them.
    """

    split: str = "all"
    shard_size: int = 100_000_000
    workers: int | None = 1
    seed: int = 0
    preparation: Preparation = field(default_factory=Preparation)
    overwrite: bool = False
    bad: str = "fail"
    prune: bool = False

    def __post_init__(self) -> None:
        if self.bad not in CHOICES:
            raise UsageError(f"--bad={self.bad!r} is unknown: choose one of {', '.join(CHOICES)}.")
        if self.workers is not None and self.workers < 1:
            raise UsageError(f"--workers={self.workers} must be at least 1.")

    @property
    def processes(self) -> int:
        keeps = not (self.preparation.tile or self.preparation.encodes or self.preparation.normalise)
        return self.workers or (1 if keeps else available_cores())


def pack(
    source: str | os.PathLike[str],
    root: str | os.PathLike[str],
    config: PackConfig,
    tell: Callable[[str], Any] = lambda line: None,
) -> tuple[Manifest, list[str]]:
    """Publishes the splits asked for at root; returns the manifest and the splits that were written now.

    The same source, options and seed give the same bytes, whatever the number of workers. What was there before is
    whole and readable until the new manifest is there. Raises TarnError, with nothing published, for a source that does
    not fit together or holds unreadable pictures, and where somebody else writes at root. What ends it behind that, an
    interrupt too, has a note that says what was published. tell: takes a line on what the source holds beside pictures.
    """
    tree = storage.local_path(source)
    if tree is None:
        raise UsageError(f"{source} is a URL: pictures are packed from a folder, copy them to a disk.")
    root = given(root)
    refuse_overlap(tree, root)
    found = read_source(tree, config.split)
    if found.passed.found:
        tell(f"passed over: {found.passed}")
    with only_writer(root):
        return pack_alone(tree, found, root, config)


def given(root: str | os.PathLike[str]) -> str:
    """As text, with `~` as the home folder."""
    path = storage.local_path(root)
    return os.fspath(root) if path is None or "://" in os.fspath(root) else str(path)


def pack_alone(source: Path, found: Source, root: str, config: PackConfig) -> tuple[Manifest, list[str]]:
    """For who has the lock."""
    before = present(root)
    refuse_foreign_tars(before, root)
    tidy(root, config.prune)
    if before is not None and not config.overwrite:
        refuse_other_classes(before, found, root)
    plans = {split: plan_shards(pictures, config.shard_size, config.seed) for split, pictures in found.splits.items()}
    told = {split: describe(found, config, plan) for split, plan in plans.items()}
    todo = [split for split in plans if not is_current(before, split, told[split], root, config)]
    if not todo and before is not None:
        mend_gathered(root, before)
        return before, []
    if before is None and not config.overwrite:
        refuse_tars_without_manifest(root, plans)
    with split_folders(root, todo), staging_folder(root) as staging:
        infixes = {split: free_infix(root, split, before) for split in todo}
        tasks = [
            Task(shard_name(split, infixes[split], number), staging, pictures, config.preparation, config.bad == "skip")
            for split in todo
            for number, pictures in enumerate(plans[split])
        ]
        written = write_all(tasks, config.processes)
        refuse_damaged(written, config.bad == "skip", source)
        splits = {}
        for split in todo:
            parts = [it for it, task in zip(written, tasks, strict=True) if task.name.startswith(f"{split}/")]
            splits[split] = split_of(split, infixes[split], parts, told[split], source, staging)
        return publish(root, staging, found.classes, before, splits, config.prune), todo


def refuse_overlap(source: Path, root: str) -> None:
    out = storage.local_path(root)
    if out is not None and out.resolve().is_relative_to((source / "ILSVRC" if is_kaggle(source) else source).resolve()):
        raise UsageError(f"the output {out} lies inside the source {source}: choose a folder beside it.")


def refuse_foreign_tars(before: Manifest | None, root: str) -> None:
    """Raises UsageError where the tars at root are somebody else's, indexed: they are not to be removed."""
    if before is not None and any(split.indexed for split in before.splits.values()):
        raise UsageError(f"{root} holds the index of tars that were packed elsewhere: choose another output.")


def refuse_tars_without_manifest(root: str, plans: dict[str, list[tuple[Picture, ...]]]) -> None:
    """Raises UsageError where a tar lies there under a name that is about to be written, whoever put it there."""
    for split, plan in plans.items():
        there = set(storage.names(storage.join(root, split), ".tar"))
        for name in (f"{split}-{number:06d}.tar" for number in range(len(plan))):
            if name in there:
                raise UsageError(
                    f"{root} has {split}/{name} and no manifest.json, so it may be somebody else's (or what a killed "
                    "packing left): choose another output, or --overwrite to replace it."
                )


def refuse_other_classes(before: Manifest, found: Source, root: str) -> None:
    """Raises UsageError where the dataset at root numbers other classes."""
    ours, theirs = [info.wnid for info in found.classes], [info.wnid for info in before.classes]
    if ours != theirs:
        first = next((pair for pair in zip(ours, theirs, strict=False) if pair[0] != pair[1]), ("none", "none"))
        raise UsageError(
            f"{root} holds a dataset of {len(theirs)} classes, the source has {len(ours)} (first difference: "
            f"{first[1]} there, {first[0]} here): choose another output, or --overwrite."
        )


def describe(found: Source, config: PackConfig, plan: list[tuple[Picture, ...]]) -> dict[str, Any]:
    """What decides the bytes of a split's shards."""
    return {
        "source": found.kind,
        "seed": config.seed,
        "shard_size": config.shard_size,
        "plan": digest(plan),
        **config.preparation.describe(),
    }


def split_of(name: str, infix: str, parts: list[Written], told: dict[str, Any], source: Path, staging: Path) -> Split:
    """What was written, and beside what decided its bytes what was done to how many pictures. Raises TarnError where
    nothing is left."""
    infos = tuple(part.info for part in parts if part.info is not None)
    refuse_empty(name, len(infos), source)
    packed = {**told, **counts(parts)}
    damaged = [damage for part in parts for damage in part.damaged]
    if damaged:
        packed["skipped"] = write_report(name, report_name(name, infix), damaged, source, staging)
    return Split(infos, packed)


def is_current(before: Manifest | None, split: str, told: dict[str, Any], root: str, config: PackConfig) -> bool:
    """Whether the split lies there already. Raises UsageError where another one of its name does."""
    if before is None or split not in before.splits or config.overwrite:
        return False
    there = before.splits[split]
    packed = {name: value for name, value in there.packed.items() if name not in (*COUNTED, "skipped")}
    changed = [name for name in told | packed if packed.get(name) != told.get(name)]
    if there.skipped and config.bad != "skip":
        changed.append("--bad (it left out unreadable pictures)")
    if not changed and all(
        storage.exists(url) and storage.size(url) == shard.bytes
        for shard in there.shards
        for url in [storage.join(root, shard.name)]
    ):
        return True
    reason = f"packed with another {', '.join(changed)}" if changed else "with missing or cut shards"
    raise UsageError(f"{root} holds a split {split!r} {reason}: choose another output, or --overwrite to replace it.")
