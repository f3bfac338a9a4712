"""What lies beside a dataset without being part of it: an earlier packing that may still be read, and what a packing
that was killed left.

Every such file is named by a manifest that is not the dataset's. `.pending.json` lists what is about to be published,
and is written before the first of it (of a packing, see pending.py, together with the records that come beside its
shards); `.retired-000001.json` is the manifest of the packing that was replaced, the very file that its readers hold
(see holding.py). So it is known at any moment, also after a kill, which files may go: those that such a manifest names
and `manifest.json` does not.
"""

import contextlib
import os
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tarn.sharding import storage
from tarn.sharding.errors import TarnError
from tarn.sharding.format.holding import unless_held
from tarn.sharding.format.manifest import PENDING, Manifest, read_manifest
from tarn.sharding.format.pending import companions

MANIFEST = "manifest.json"
RETIRED = re.compile(r"\.retired-(\d{6})\.json")
REMOVING = 16  # files removed at a time


@dataclass(frozen=True, slots=True)
class Leftover:
    """name: of its manifest. files: what it names and the dataset does not. read: whether somebody reads it, None where
    that cannot be known (a store, a disk without locks)."""

    name: str
    files: frozenset[str]
    read: bool | None


def files_of(manifest: Manifest | None) -> frozenset[str]:
    """Those that Tarn wrote, below the manifest's folder: tars that somebody else packed are nobody's to remove."""
    if manifest is None:
        return frozenset()
    splits = manifest.splits.values()
    shards = [shard for split in splits for shard in split.shards]
    tars = {shard.name for split in splits if not split.indexed for shard in split.shards}
    tars = tars if manifest.data_root is None else set()
    reports = {split.report for split in manifest.splits.values() if split.report is not None}
    found = tars | {shard.index_name for shard in shards} | reports
    return frozenset(name for name in found if not name.startswith("/") and ".." not in name.split("/"))


def present(root: str) -> Manifest | None:
    """The dataset's manifest, unheld; None where there is none. Raises TarnError."""
    return read_manifest(root, hold=False) if storage.exists(storage.join(root, MANIFEST)) else None


def refuse_changed(root: str, before: Manifest | None) -> None:
    """Raises TarnError where another manifest lies there than did: somebody wrote there who knows no lock, or before it
    was taken."""
    if present(root) != before:
        raise TarnError(f"{storage.join(root, MANIFEST)} changed meanwhile: nothing was published, start again.")


def leftovers(root: str) -> list[Leftover]:
    """Pending first, then retired ones from the oldest on. Raises TarnError."""
    wanted, found = files_of(present(root)), []
    for name in left_manifests(root):
        files = files_left(root, name) - wanted
        found.append(Leftover(name, files, False if name == PENDING else is_read(root, name)))
    return found


def left_manifests(root: str) -> list[str]:
    return [name for name in storage.names(root, ".json") if name == PENDING or RETIRED.fullmatch(name)]


def manifest_of(root: str, name: str) -> Manifest | None:
    """Of a left manifest; None where it is gone, or a kill left it torn, before anything it names was written."""
    url = storage.join(root, name)
    with contextlib.suppress(TarnError):
        return Manifest.from_json(storage.read_bytes(url), url)
    return None


def files_left(root: str, name: str) -> frozenset[str]:
    """All that a left manifest names, in the dataset or not."""
    manifest = manifest_of(root, name)
    return files_of(manifest) | (companions(manifest) if name == PENDING and manifest is not None else frozenset())


def is_read(root: str, name: str) -> bool | None:
    path = storage.local_path(storage.join(root, name))
    if path is None:
        return None
    try:
        with unless_held(path) as free:
            return None if free is None else not free
    except OSError:
        return None


def announce(root: str, manifest: Manifest) -> None:
    """Before anything of it is published."""
    storage.publish(storage.join(root, PENDING), manifest.to_json().encode())


def retire(root: str) -> str:
    """Keeps the present manifest under another name too, on a disk the very file; returns the name."""
    numbers = [int(match[1]) for name in left_manifests(root) if (match := RETIRED.fullmatch(name))]
    name = f".retired-{max(numbers, default=0) + 1:06d}.json"
    url = storage.join(root, MANIFEST)
    if (path := storage.local_path(url)) is not None:
        with contextlib.suppress(OSError):  # a disk without links: then nobody is known to hold the copy
            os.link(path, path.with_name(name))
            return name
    storage.publish(storage.join(root, name), storage.read_bytes(url))
    return name


def sweep(root: str, spare: str | None = None, prune: bool = False, going_on: bool = False) -> None:
    """Removes what nobody needs: what was retired and is not read, and at last what was pending, for as long as that is
    there the packing is not over.

    spare: the name of the retired manifest to keep where readers cannot be known, unless told to prune. going_on: keep
    what is pending. Only for who has the lock (see lock.py). Raises TarnError.
    """
    with contextlib.ExitStack() as locks:
        found = sorted(left_manifests(root), key=lambda name: name == PENDING)
        going = [
            name for name in found if (not going_on if name == PENDING else may_go(root, name, spare, prune, locks))
        ]
        wanted = files_of(present(root)).union(*(files_left(root, name) for name in found if name not in going))
        for name in going:
            remove(root, name, wanted)


def may_go(root: str, name: str, spare: str | None, prune: bool, locks: contextlib.ExitStack) -> bool:
    """Of a retired one. locks: hold off new readers of what may go."""
    path = storage.local_path(storage.join(root, name))
    if path is None:
        return prune or name != spare
    if is_present(path):
        return True  # a kill came between both names of the file: one too many
    try:
        free = locks.enter_context(unless_held(path))
    except OSError:
        return False  # somebody else's file
    return prune or name != spare if free is None else free


def is_present(path: Path) -> bool:
    """Whether it is the file of the dataset's manifest."""
    other = path.with_name(MANIFEST)
    return other.exists() and other.samefile(path)


def remove(root: str, name: str, wanted: frozenset[str]) -> None:
    """The files first: what is still to go when a kill comes, is named until it is gone."""
    gone = sorted(files_left(root, name) - wanted)
    with ThreadPoolExecutor(REMOVING) as pool:
        list(pool.map(lambda file: storage.remove(storage.join(root, file)), gone))
    storage.remove(storage.join(root, name))
