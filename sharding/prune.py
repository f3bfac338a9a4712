"""What lies in a dataset's folder and no manifest names: found, told, removed."""

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tarn.sharding import storage
from tarn.sharding.errors import UsageError
from tarn.sharding.format.leftovers import MANIFEST, files_of, left_manifests, leftovers, present, sweep
from tarn.sharding.format.litter import SPLITS, half_written, remove_half_written, staging_left, tar_names
from tarn.sharding.format.lock import only_writer
from tarn.sharding.format.manifest import PENDING, Manifest, index_name_of, missing_manifest
from tarn.sharding.format.publication import newest_retired
from tarn.sharding.storage.urls import kind_of

OURS = re.compile(r"(?P<split>[^/]+)/(?P=split)(-g\d+)?-\d{6,}\.tar")  # what a packing calls its shards


@dataclass(frozen=True, slots=True)
class Stray:
    """A file or a folder of files. why: it may go."""

    name: str
    bytes: int
    why: str


@dataclass(frozen=True, slots=True)
class Pruned:
    """removed: what went, or would go. kept: what is told in place of being removed."""

    removed: tuple[Stray, ...]
    kept: tuple[str, ...]


def prune(root: str, everything: bool = False, dry: bool = False) -> Pruned:
    """everything: also earlier packings of which it cannot be known whether somebody still reads them. dry: only tell.

    Raises TarnError where somebody writes there, and where neither a dataset lies nor what was left of one.
    """
    if kind_of(root) == "http":
        raise UsageError(f"{root} is a web server, where nothing can be removed: prune the folder that it serves.")
    if not (left_manifests(root) or storage.exists(storage.join(root, MANIFEST))):
        raise missing_manifest(root)
    with only_writer(root):
        manifest = present(root)
        found, kept = (*aside(root), *left(root, everything)), tuple(told(root, everything))
        strays, others = of_no_manifest(root, manifest, {stray.name for stray in found})
        if not dry:
            remove(root, strays, everything)
        return Pruned((*found, *strays), (*kept, *others))


def aside(root: str) -> Iterator[Stray]:
    """Of processes that were killed. Nobody else is at work, for who asks has the lock."""
    folder = storage.local_path(root)
    if folder is None:
        return
    for path in sorted([*staging_left(folder), *half_written(folder)]):
        yield Stray(str(path.relative_to(folder)), size_below(path), "left by a packing that was killed")


def size_below(path: Path) -> int:
    files = [path] if path.is_file() else [it for it in path.rglob("*") if it.is_file()]
    return sum(it.stat().st_size for it in files)


def left(root: str, everything: bool) -> Iterator[Stray]:
    for leftover in leftovers(root):
        if leftover.read or (leftover.read is None and not everything):
            continue
        why = "a packing that was killed before its end" if leftover.name == PENDING else "an earlier packing"
        for name in sorted(leftover.files):
            url = storage.join(root, name)
            if storage.exists(url):
                yield Stray(name, storage.size(url), f"of {why}")
        yield Stray(leftover.name, storage.size(storage.join(root, leftover.name)), f"the list of {why}")


def told(root: str, everything: bool) -> Iterator[str]:
    for leftover in leftovers(root):
        if leftover.read:
            yield f"{len(leftover.files)} files of an earlier packing are still read"
        elif leftover.read is None and not everything:
            yield f"{len(leftover.files)} files of an earlier packing may still be read: --all removes them"


def of_no_manifest(root: str, manifest: Manifest | None, known: set[str]) -> tuple[list[Stray], list[str]]:
    """Shards as a packing calls them, with their indexes, and what is said of tars called otherwise. A dataset of
    somebody else's tars has none of ours."""
    if manifest is None or manifest.data_root is not None or any(split.indexed for split in manifest.splits.values()):
        return [], []
    named = files_of(manifest).union(*(leftover.files for leftover in leftovers(root))) | known
    strays, others, folders = [], [], {*SPLITS, *manifest.splits}
    for tar in tar_names(root, folders):
        if tar in named:
            continue
        if not OURS.fullmatch(tar):
            others.append(
                f"{tar} is in no manifest, and not called as a packing calls its shards: it is yours to remove"
            )
            continue
        if tar.partition("/")[0] not in folders:  # that no packing makes: who called its tars so is unknown
            others.append(f"{tar} is in no manifest, and in a folder of no split: it is yours to remove")
            continue
        for name in (tar, index_name_of(tar)):
            url = storage.join(root, name)
            if name not in named and storage.exists(url):
                strays.append(Stray(name, storage.size(url), "in no manifest"))
    return strays, others


def remove(root: str, strays: list[Stray], everything: bool) -> None:
    folder = storage.local_path(root)
    if folder is not None:
        for path in staging_left(folder):
            shutil.rmtree(path, ignore_errors=True)
        remove_half_written(folder)
    sweep(root, newest_retired(root), everything)
    for stray in strays:
        storage.remove(storage.join(root, stray.name))
