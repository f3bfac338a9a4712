"""Shards to their places, then the manifest: until it is there the dataset is the earlier one, whole and readable."""

import contextlib
from collections.abc import Mapping
from pathlib import Path

from tarn.sharding import storage
from tarn.sharding.errors import TarnError
from tarn.sharding.format.gathered import check_gathered, gathered_name, publish_gathered
from tarn.sharding.format.leftovers import (
    MANIFEST,
    RETIRED,
    announce,
    left_manifests,
    present,
    refuse_changed,
    retire,
    sweep,
)
from tarn.sharding.format.manifest import ClassInfo, Manifest, Split
from tarn.sharding.packing.staging import clear_staging

PUBLISHED = "the new dataset is published and whole"
LEFT = "; pack again to remove what is left of the earlier one"


def publish(
    root: str,
    staging: Path,
    classes: tuple[ClassInfo, ...],
    before: Manifest | None,
    splits: Mapping[str, Split],
    prune: bool,
) -> Manifest:
    """Whatever ends it before the manifest is there, takes away what was published of it, and leaves what was there;
    whatever ends it later is given a note that says so. Raises TarnError."""
    kept = dict(before.splits) if before is not None and before.classes == classes else {}
    manifest = Manifest(classes, dict(sorted({**kept, **splits}.items())))
    there = before.splits.keys() if before is not None else frozenset()
    shards = [shard for split in splits.values() for shard in split.shards]
    indexes = {shard.index_name: (staging / shard.index_name).read_bytes() for shard in shards}
    try:
        refuse_changed(root, before)
        announce(root, manifest)
        for split in splits.values():
            move(root, staging, split)
        gather(root, {name: split for name, split in splits.items() if name not in there}, indexes)
        spare = retire(root) if before is not None else None
        storage.publish(storage.join(root, MANIFEST), manifest.to_json().encode())
        gather(root, {name: split for name, split in splits.items() if name in there}, indexes)
        for gone in there - manifest.splits.keys():
            storage.remove(storage.join(root, gathered_name(gone)))
        sweep(root, spare, prune)
    except BaseException as error:
        with contextlib.suppress(TarnError):  # a store that is not there: the next packing does it
            if present(root) == manifest:
                error.add_note(f"{PUBLISHED}{LEFT if there else ''}.")
            else:
                sweep(root, newest_retired(root))
        raise
    return manifest


def move(root: str, staging: Path, split: Split) -> None:
    """Everything that the manifest names of a split."""
    names = [name for shard in split.shards for name in (shard.name, shard.index_name)]
    for name in (*names, *([split.report] if split.report is not None else [])):
        storage.publish_file(staging / name, storage.join(root, name))


def gather(root: str, splits: Mapping[str, Split], indexes: Mapping[str, bytes]) -> None:
    """The indexes of each split in one file. Its name is the same for every packing, for it is read before the manifest
    is known, which tells whether it fits: so that of a split that is replaced comes behind the manifest."""
    for name, split in splits.items():
        publish_gathered(root, name, split, lambda shard: indexes[shard.index_name])


def mend_gathered(root: str, manifest: Manifest) -> None:
    """Where a kill came between the manifest and them."""
    for name, split in manifest.splits.items():
        if check_gathered(root, name, split) is not None:
            publish_gathered(root, name, split, lambda shard: storage.read_bytes(storage.join(root, shard.index_name)))


def tidy(root: str, prune: bool) -> None:
    """What earlier packings left, except what may still be read. Raises TarnError."""
    out = storage.local_path(root)
    if out is not None:
        clear_staging(out)
    sweep(root, newest_retired(root), prune)


def newest_retired(root: str) -> str | None:
    return max((name for name in left_manifests(root) if RETIRED.fullmatch(name)), default=None)
