"""Whether shards lie at a URL, and whose.

A folder that holds pictures in folders is a tree, whatever else lies in it; one that holds tars and no such picture
holds shards.
"""

import json
import os

from tarn.sharding import storage
from tarn.sharding.errors import TarnError, UsageError
from tarn.sharding.foreign.info import NAME as INFO
from tarn.sharding.foreign.names import DEPTH, has_wildcards, is_pattern, is_web
from tarn.sharding.foreign.tars import Tars, find_tars, tars_among
from tarn.sharding.format.manifest import FORMAT, PENDING, missing_manifest, read_manifest
from tarn.sharding.resharding.ours import Dataset
from tarn.sharding.resharding.theirs import TheirTars
from tarn.sharding.resharding.words import SampleWords
from tarn.sharding.sources.disk import DiskFolder
from tarn.sharding.sources.sight import Sight
from tarn.sharding.sources.tree import Folder, PassedOver, folders_in, is_hidden, walk

MANIFEST = "manifest.json"


def see_shards(url: str, words: SampleWords) -> Sight:
    """Raises TarnError where they cannot be listed, their manifest is none, or a packing is not at its end."""
    if is_dataset(url):
        words.refuse_beside_manifest()
        dataset = Dataset(url, read_manifest(url), words)
        folders = dict.fromkeys((url, dataset.manifest.shards_root(url)))
        return Sight(url, dataset.what, dataset.read, url, tuple(folders))
    if not is_pattern(url) and storage.exists(storage.join(url, PENDING)):
        raise missing_manifest(url)
    tars = TheirTars(url, find_tars(url), words)
    refuse_missing(tars.tars)
    is_found_again = not is_pattern(url) or has_wildcards(url.rpartition("/")[0])  # what is written in there
    return Sight(url, tars.what, tars.read, tars.tars.root if is_found_again else None, (tars.tars.root,))


def refuse_missing(tars: Tars) -> None:
    """Raises UsageError for local tars that were named and are not there; a store's tell it when they are asked for."""
    if storage.local_path(tars.root) is None:
        return
    named = (name for name in tars.names or () if name not in tars.sizes)
    missing = [name for name in named if not storage.exists(storage.join(tars.root, name))]
    if missing:
        verb = "are" if len(missing) > 1 else "is"
        more = f" and {len(missing) - 1:,} more" if len(missing) > 1 else ""
        raise UsageError(f"{storage.join(tars.root, missing[0])}{more} {verb} not there: check the names of the tars.")


def is_told(url: str) -> bool:
    """Whether a manifest of ours says it, or of a web server, which lists nothing itself, a list of tars."""
    return is_dataset(url) or (is_web(url) and storage.exists(storage.join(url, INFO)))


def may_be_shards(given: str | os.PathLike[str]) -> bool:
    """Whether to read it as shards comes to something, whatever else lies there."""
    path = storage.local_path(given)
    return path is None or not path.is_dir() or is_dataset(str(path)) or has_tars(DiskFolder(path), DEPTH)


def is_dataset(url: str) -> bool:
    """Whether a manifest of ours lies there, not some other file of that name."""
    manifest = storage.join(url, MANIFEST)
    if is_pattern(url) or not storage.exists(manifest):
        return False
    try:
        told = json.loads(storage.read_bytes(manifest))
    except (TarnError, ValueError, RecursionError):
        return False
    return isinstance(told, dict) and told.get("format") == FORMAT


def are_in(root: Folder) -> bool:
    return not has_picture(root) and has_tars(root, DEPTH)


def has_picture(root: Folder) -> bool:
    """In a folder below it."""
    for name in folders_in(root, PassedOver()):
        folder = root.folder(name)
        around = folder.around()
        if next(walk(folder, name, set(around), around, PassedOver(), root), None) is not None:
            return True
    return False


def has_tars(root: Folder, depth: int) -> bool:
    """depth: how many folders deep, that of the root itself being one."""
    entries = [entry for entry in root.entries() if not is_hidden(entry.name)]
    if tars_among(entry.name for entry in entries if not entry.is_folder):
        return True
    return depth > 1 and any(has_tars(root.folder(entry.name), depth - 1) for entry in entries if entry.is_folder)
