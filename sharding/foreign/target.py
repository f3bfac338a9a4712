"""Where manifest and indexes go: whether they may, and whether they are there already."""

import os
from concurrent.futures import ThreadPoolExecutor

from tarn.sharding import storage
from tarn.sharding.errors import TarnError, UsageError
from tarn.sharding.foreign.layout import Layout, absolute
from tarn.sharding.foreign.names import is_web
from tarn.sharding.foreign.reading import Reading
from tarn.sharding.format.leftovers import left_manifests, manifest_of
from tarn.sharding.format.manifest import MAGIC, PENDING, Manifest, read_manifest
from tarn.sharding.format.pending import is_of_packing, progress

ASKING = 16  # files asked for at a time


def find_target(out: str | None, layout: Layout) -> tuple[str, str | None]:
    """The folder of manifest and indexes, and the data_root that the manifest needs."""
    if out is None or absolute(out.rstrip("/") or "/") == layout.root:
        return layout.root, None
    return out.rstrip("/") or "/", layout.root


def read_earlier(root: str) -> Manifest | None:
    """The manifest that an earlier run left. Raises UsageError for anybody else's, which must not be replaced."""
    url = storage.join(root, "manifest.json")
    if is_web(root):
        raise UsageError(f"{root} cannot be written: give a folder for manifest and indexes by --out FOLDER.")
    if not storage.exists(url):
        return None
    try:
        manifest = read_manifest(root, hold=False)
    except TarnError as error:
        raise UsageError(f"{url} is in the way ({error}): give another folder by --out FOLDER.") from error
    if not all(split.indexed for split in manifest.splits.values()):
        raise UsageError(f"{root} holds a dataset that was packed, with its own indexes: train from it, or give --out.")
    return manifest


def is_current(
    before: Manifest, layout: Layout, root: str, data_root: str | None, classes: str | None, reading: Reading
) -> bool:
    """Whether nothing changed since; by names and sizes alone. Raises UsageError, naming the change, where it did.

    classes: digest of the file of --classes, None where none is given: then any will do, as with the reading.
    """
    changed = change(before, layout, data_root, classes, reading) or missing_index(before, root)
    if changed is not None:
        raise UsageError(f"{root} was indexed before, but {changed}: give --overwrite to index it again.")
    return True


def change(
    before: Manifest, layout: Layout, data_root: str | None, classes: str | None, reading: Reading
) -> str | None:
    """The first thing that differs from the layout, as a clause."""
    if before.data_root != data_root:
        return f"its tars lay at {before.data_root or 'the same place'}, not at {data_root or 'the same place'}"
    if classes is not None and any(split.packed.get("classes") != classes for split in before.splits.values()):
        return "with other --classes"
    if reading != Reading() and any(Reading.of(split.packed) != reading for split in before.splits.values()):
        return "with another --picture or --label"
    if before.splits.keys() != layout.splits.keys():
        return f"its splits were {', '.join(before.splits)}, now they are {', '.join(layout.splits)}"
    for name, split in before.splits.items():
        was, now = {tar.name: tar.bytes for tar in split.shards}, {tar.name: tar.size for tar in layout.splits[name]}
        for tar in sorted(was.keys() | now.keys()):
            if was.get(tar) != now.get(tar):
                sizes = [f"{size} bytes" if size is not None else "not there" for size in (was.get(tar), now.get(tar))]
                return f"{tar} was {sizes[0]} then and is {sizes[1]} now"
    return None


def missing_index(before: Manifest, root: str) -> str | None:
    urls = [storage.join(root, tar.index_name) for split in before.splits.values() for tar in split.shards]
    with ThreadPoolExecutor(ASKING) as pool:
        for url, there in zip(urls, pool.map(storage.exists, urls), strict=True):
            if not there:
                return f"{url} is not there"
    return None


def refuse_unfinished(root: str) -> None:
    """Raises UsageError where a packing did not come to its end: indexing would remove what is done of it."""
    plan = manifest_of(root, PENDING) if PENDING in left_manifests(root) else None
    if plan is not None and is_of_packing(plan):
        raise UsageError(
            f"{root} holds shards of a packing that did not come to its end ({progress(root, plan)}): start that "
            "again, by the same command, or choose another folder."
        )


def refuse_unwritable(root: str, layout: Layout) -> None:
    """Raises UsageError before the long way through the tars, not after it."""
    folders = sorted({storage.join(root, tar.name).rpartition("/")[0] for tar in layout.tars})
    advice = "give another folder for manifest and indexes by --out FOLDER"
    if storage.local_path(root) is None:
        probe = storage.join(root, ".tarn-probe")
        try:
            storage.publish(probe, b"whether indexes can be written")
            storage.remove(probe)
        except TarnError as error:
            raise UsageError(f"{str(error).rstrip('.')}, or {advice}.") from error
    for folder in folders:
        path = storage.local_path(folder)
        while path is not None and not path.exists():
            path = path.absolute().parent
        if path is not None and not (path.is_dir() and os.access(path, os.W_OK | os.X_OK)):
            raise UsageError(f"{path} cannot be written: {advice}.")


def other_indexes(root: str, layout: Layout) -> frozenset[str]:
    """Names below the root of indexes that another program (DALI's wds2idx) has put where ours would lie."""
    ours = {tar.index_name for tar in layout.tars}
    found = set()
    for folder in sorted({name.rpartition("/")[0] for name in ours}):
        where = storage.join(root, folder) if folder else root
        for base in storage.names(where, ".idx"):
            name = f"{folder}/{base}" if folder else base
            if name in ours and storage.read_range(storage.join(root, name), 0, len(MAGIC)) != MAGIC:
                found.add(name)
    return frozenset(found)
