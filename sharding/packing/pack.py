"""From pictures to a published dataset: plan, write all shards aside, put them in place, the manifest last."""

import os
import platform
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from tarn.sharding import storage
from tarn.sharding.cores import available_cores
from tarn.sharding.errors import TarnError, UsageError
from tarn.sharding.foreign.target import SOURCE as INDEXED
from tarn.sharding.format.gathered import gathered_name, publish_gathered
from tarn.sharding.format.manifest import Manifest, Split, read_manifest
from tarn.sharding.packing.plan import digest, plan_shards
from tarn.sharding.packing.preparation import Preparation
from tarn.sharding.packing.workers import write_all
from tarn.sharding.packing.writer import Task, Written
from tarn.sharding.sources import Picture, Problems, Source
from tarn.sharding.sources.folder import read_folder
from tarn.sharding.sources.kaggle import is_kaggle, read_kaggle

STAGING = ".staging-"


@dataclass(frozen=True, slots=True, kw_only=True)
class PackConfig:
    """split: train, val or all. shard_size: bytes of the pictures as they are at the source.

    workers: processes; None: as many as there are cores, one where pictures are kept as they are, for the disk and the
    checksums then take the time.
    """

    split: str = "all"
    shard_size: int = 100_000_000
    workers: int | None = 1
    seed: int = 0
    preparation: Preparation = field(default_factory=Preparation)
    overwrite: bool = False

    def __post_init__(self) -> None:
        if self.workers is not None and self.workers < 1:
            raise UsageError(f"--workers={self.workers} must be at least 1.")

    @property
    def processes(self) -> int:
        keeps = not (self.preparation.tile or self.preparation.encodes)
        return self.workers or (1 if keeps else available_cores())


def pack(source: Path, root: str, config: PackConfig) -> tuple[Manifest, list[str]]:
    """Publishes the splits asked for at root; returns the manifest and the splits that were written now.

    The same source, options and seed give the same bytes, whatever the number of workers. Raises TarnError, with
    nothing published, for a source that does not fit together or holds unreadable pictures.
    """
    refuse_overlap(source, root)
    found = read_source(source, config.split)
    before = read_manifest(root) if storage.exists(storage.join(root, "manifest.json")) else None
    refuse_foreign_tars(before, root)
    if before is not None and not config.overwrite:
        refuse_other_classes(before, found, root)
    plans = {split: plan_shards(pictures, config.shard_size, config.seed) for split, pictures in found.splits.items()}
    told = {split: describe(found, config, plan) for split, plan in plans.items()}
    todo = [split for split in plans if not is_current(before, split, told[split], root, config.overwrite)]
    if not todo and before is not None:
        return before, []
    if before is None and not config.overwrite:
        refuse_tars_without_manifest(root, plans)
    with staging_folder(root) as staging:
        tasks = [
            Task(f"{split}/{split}-{number:06d}.tar", staging, pictures, config.preparation)
            for split in todo
            for number, pictures in enumerate(plans[split])
        ]
        written = write_shards(tasks, config.processes, source)
        of_split = {
            split: [it for it, task in zip(written, tasks, strict=True) if task.name.startswith(f"{split}/")]
            for split in todo
        }
        splits = {split: split_of(parts, told[split]) for split, parts in of_split.items()}
        return publish(root, staging, found, before, splits), todo


def read_source(source: Path, split: str) -> Source:
    """Raises TarnError where the tree, or the split asked for, is not there or is empty."""
    if not source.is_dir():
        raise UsageError(f"{source} is not a folder: give an unpacked Kaggle ILSVRC download or an ImageFolder tree.")
    wanted = ("train", "val") if split == "all" else (split,)
    found = read_kaggle(source, wanted) if is_kaggle(source) else read_folder(source, wanted)
    for name in found.splits or wanted:
        if not found.splits.get(name):
            raise TarnError(
                f"{source} has no pictures of the split {name!r}: check the path or choose another --split."
            )
    return found


def refuse_overlap(source: Path, root: str) -> None:
    out = storage.local_path(root)
    if out is not None and out.resolve().is_relative_to((source / "ILSVRC" if is_kaggle(source) else source).resolve()):
        raise UsageError(f"the output {out} lies inside the source {source}: choose a folder beside it.")


def refuse_foreign_tars(before: Manifest | None, root: str) -> None:
    """Raises UsageError where the tars at root are somebody else's, indexed: they are not to be removed."""
    if before is not None and any(split.packed.get("source") == INDEXED for split in before.splits.values()):
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


def describe(found: Source, config: PackConfig, plan: list[tuple[Picture, ...]]) -> dict[str, str | int]:
    """What decides the bytes of a split's shards."""
    return {
        "source": found.kind,
        "seed": config.seed,
        "shard_size": config.shard_size,
        "plan": digest(plan),
        **config.preparation.describe(),
    }


def split_of(parts: list[Written], told: dict[str, str | int]) -> Split:
    """What was written, and beside what decided its bytes: how many pictures were not tiled, by reason."""
    left: Counter[str] = sum((Counter(part.left) for part in parts), Counter())
    infos = tuple(part.info for part in parts if part.info is not None)
    return Split(infos, {**told, "left_untiled": dict(sorted(left.items()))})


def is_current(before: Manifest | None, split: str, told: dict[str, str | int], root: str, overwrite: bool) -> bool:
    """Whether the split lies there already. Raises UsageError where another one of its name does."""
    if before is None or split not in before.splits or overwrite:
        return False
    there = before.splits[split]
    packed = {name: value for name, value in there.packed.items() if name != "left_untiled"}
    if packed == told and all(
        storage.exists(url) and storage.size(url) == shard.bytes
        for shard in there.shards
        for url in [storage.join(root, shard.name)]
    ):
        return True
    changed = [name for name in told | packed if packed.get(name) != told.get(name)]
    reason = f"packed with another {', '.join(changed)}" if changed else "with missing or cut shards"
    raise UsageError(f"{root} holds a split {split!r} {reason}: choose another output, or --overwrite to replace it.")


@contextmanager
def staging_folder(root: str) -> Iterator[Path]:
    """A folder on the output's own disk, where it has one, so that publishing is renaming; gone at the end."""
    out = storage.local_path(root)
    if out is None:
        with tempfile.TemporaryDirectory(prefix="tarn-") as temporary:
            yield Path(temporary)
        return
    fresh = not out.exists()
    out.mkdir(parents=True, exist_ok=True)
    for left in out.glob(f"{STAGING}{platform.node()}-*"):
        if not is_alive(int(left.name.rsplit("-", 1)[1])):
            shutil.rmtree(left, ignore_errors=True)  # of a process that was killed
    folder = out / f"{STAGING}{platform.node()}-{os.getpid()}"
    try:
        folder.mkdir()
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if fresh and not any(out.iterdir()):
            out.rmdir()


def is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return process != os.getpid()


def write_shards(tasks: list[Task], processes: int, source: Path) -> list[Written]:
    """In the order of the tasks. Raises TarnError that counts and names unreadable pictures."""
    problems, written = Problems(), write_all(tasks, processes)
    for part in written:
        for path, problem in part.damaged:
            problems.add("unreadable pictures", f"{path}: {problem}")
    problems.raise_if_any(str(source))
    return written


def publish(root: str, staging: Path, found: Source, before: Manifest | None, splits: dict[str, Split]) -> Manifest:
    """Shards to their places, then the manifest. A reader sees the old splits, or none, or the new ones."""
    url = storage.join(root, "manifest.json")
    kept = dict(before.splits) if before is not None and before.classes == found.classes else {}
    replaced = [split for split in splits if split in kept]
    if before is not None and (replaced or not kept):
        kept = {split: there for split, there in kept.items() if split not in splits}
        storage.publish(url, replace(before, classes=found.classes, splits=kept).to_json().encode())
    for split, new in splits.items():
        publish_gathered(root, split, new, lambda shard: (staging / shard.index_name).read_bytes())
        for shard in new.shards:
            for name in (shard.name, shard.index_name):
                storage.publish_file(staging / name, storage.join(root, name))
    wanted = {shard.name for there in (*kept.values(), *splits.values()) for shard in there.shards}
    for split, old in before.splits.items() if before is not None else ():
        if split not in kept and split not in splits:
            storage.remove(storage.join(root, gathered_name(split)))
        for shard in old.shards:
            if shard.name not in wanted:
                storage.remove(storage.join(root, shard.name))
                storage.remove(storage.join(root, shard.index_name))
    manifest = Manifest(found.classes, dict(sorted({**kept, **splits}.items())))
    storage.publish(url, manifest.to_json().encode())
    return manifest
