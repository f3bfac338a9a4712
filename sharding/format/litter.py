"""What lies about in a dataset's folder and is not the dataset's: told as a problem, or, where it has its reason, as a
note."""

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

from tarn.sharding import storage
from tarn.sharding.format.leftovers import Leftover, files_of, leftovers, manifest_of, present
from tarn.sharding.format.lock import is_being_written
from tarn.sharding.format.manifest import PENDING, Manifest
from tarn.sharding.format.pending import is_of_packing, is_published, progress
from tarn.sharding.storage.urls import kind_of

STAGING = ".staging-"  # folders of shards that are being written, then the host and the process
OF_A_PROCESS = re.compile(r"\.staging-.*-\d+")
HALF_WRITTEN = re.compile(
    r"\.(.+\.idx\d*|.+\.indexes|.+\.bad-pictures\.jsonl|manifest\.json|\.pending\.json|\.retired-\d+\.json"
    r"|\..+-\d{6,}\.json|interchange\.json|_info\.json|croissant\.json|.+\.dali-idx|\.info\.json|(split|dataset)\.yaml)"
    r"\.tmp-\d+"
)
DEPTH = 3  # folders in which indexes may lie, the root itself being one
SPLITS = ("train", "val", "test")  # looked into also where the manifest has no such split


def litter(root: str, manifest: Manifest) -> Iterator[str]:
    """A sentence for each thing that who was killed at work left; nothing while somebody works. Raises TarnError."""
    if not manifest.splits:
        yield f"{root} has a manifest of no splits, so it holds no pictures: pack it again."
    if kind_of(root) == "http" or is_being_written(root):
        return
    one, work, again = words_of(manifest)
    folder = storage.local_path(root)
    found = [*staging_left(folder), *half_written(folder)] if folder is not None else []
    for left in sorted(found):
        yield f"{left} was left by {one} that was killed: {again} it again, which removes it."
    for leftover in leftovers(root):
        removal = f"{again} it again, which removes them"
        if leftover.name == PENDING and leftover.files:
            yield unfinished(root, leftover, one, removal)
        elif leftover.name != PENDING and leftover.read is False:
            yield f"{root} has {files_in(leftover)} of an earlier {work}, which nobody reads any more: {removal}."


def unfinished(root: str, leftover: Leftover, one: str, removal: str) -> str:
    plan = manifest_of(root, PENDING)
    if plan is None or not is_of_packing(plan):
        return f"{root} has {files_in(leftover)} of {one} that was killed before its end: {removal}."
    if all(is_published(plan, split, present(root)) for split in plan.splits):
        return f"{root} has records of the packing that made it: pack it again, which removes them."
    return (
        f"{root} has shards of a packing that did not come to its end, {progress(root, plan)}: the same command goes "
        "on with it, any other packing removes them."
    )


def words_of(manifest: Manifest) -> tuple[str, str, str]:
    """What made the dataset, once with its article, and what is to be done again."""
    if any(split.indexed for split in manifest.splits.values()):
        return "an indexing", "indexing", "index"
    return "a packing", "packing", "pack"


def staging_left(folder: Path) -> list[Path]:
    """Only what is called as a packing calls it: somebody else may have a folder of a name that begins so."""
    return [path for path in folder.glob(f"{STAGING}*") if OF_A_PROCESS.fullmatch(path.name)]


def half_written(folder: Path) -> list[Path]:
    """Small files that were to be renamed (see storage.publish), by their names alone: in a folder of others' tars may
    lie what is theirs."""
    found = (path for depth in range(DEPTH) for path in folder.glob("*/" * depth + ".*.tmp-*"))
    return [path for path in found if HALF_WRITTEN.fullmatch(path.name)]


def remove_half_written(folder: Path) -> None:
    """Only for who has the lock."""
    for left in half_written(folder):
        with contextlib.suppress(OSError):
            left.unlink()


def notes(root: str) -> Iterator[str]:
    """Of what is kept for those who may read it. Raises TarnError."""
    found = leftovers(root) if kind_of(root) != "http" else []
    manifest = present(root) if found else None
    _, work, again = words_of(manifest or Manifest((), {}))
    removal = "pack --prune removes them" if again == "pack" else "the next one removes them"
    for leftover in found:
        if leftover.read:
            yield f"kept: {files_in(leftover)} of an earlier {work}, which is still read; the next one removes them"
        elif leftover.read is None and leftover.files:
            yield (f"kept: {files_in(leftover)} of an earlier {work}, for those who may still read it; {removal}")


def files_in(leftover: Leftover) -> str:
    return f"{len(leftover.files)} files"


def stray_tars(root: str, manifest: Manifest) -> Iterator[str]:
    """Those that no manifest names: who reads the folder by their names alone would take them for its own. Raises
    TarnError."""
    tars = manifest.shards_root(root)
    if kind_of(tars) == "http" or is_being_written(root):
        return
    named = files_of(manifest).union(*(leftover.files for leftover in leftovers(root)))
    named |= {shard.name for split in manifest.splits.values() for shard in split.shards}
    for name in tar_names(tars, {*SPLITS, *manifest.splits}):
        if name not in named:
            yield f"{storage.join(tars, name)} is not in the manifest: move or remove it."


def tar_names(root: str, splits: set[str]) -> list[str]:
    """In the folder itself, and in those below it: all of a disk's, in a store those of the splits."""
    path = storage.local_path(root)
    below = [entry.name for entry in folders(path)] if path is not None else sorted(splits)
    return [
        *storage.names(root, ".tar"),
        *(f"{folder}/{name}" for folder in below for name in storage.names(storage.join(root, folder), ".tar")),
    ]


def folders(path: Path) -> list[Path]:
    return sorted(entry for entry in path.iterdir() if entry.is_dir() and not entry.name.startswith("."))
