"""A new manifest in place of an earlier one: until it is there the dataset is the earlier one, whole and readable."""

import contextlib
from collections.abc import Callable, Mapping

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
from tarn.sharding.format.manifest import Manifest, Split

PUBLISHED = "the new dataset is published and whole"


def replace_manifest(
    root: str,
    manifest: Manifest,
    before: Manifest | None,
    put: Callable[[], None],
    indexes: Mapping[str, bytes],
    splits: Mapping[str, Split],
    prune: bool = False,
    again: str = "pack",
) -> None:
    """put: writes all that the manifest names and nothing else, under names that the earlier one does not have. splits:
    those that are new or replaced; indexes: theirs, by name. again: what to do to have leftovers removed.

    Whatever ends it before the manifest is there, takes away what was published of it, and leaves what was there;
    whatever ends it later is given a note that says so. Raises TarnError.
    """
    there = before.splits.keys() if before is not None else frozenset()
    try:
        refuse_changed(root, before)
        announce(root, manifest)
        put()
        gather(root, {name: split for name, split in splits.items() if name not in there}, indexes)
        spare = retire(root) if before is not None else None
        storage.publish(storage.join(root, MANIFEST), manifest.to_json().encode())
        gather(root, {name: split for name, split in splits.items() if name in there}, indexes)
        for gone in there - manifest.splits.keys():
            storage.remove(storage.join(root, gathered_name(gone)))
        sweep(root, spare, prune)
    except BaseException as error:
        with contextlib.suppress(TarnError):  # a store that is not there: the next one does it
            if present(root) == manifest:
                left = f"; {again} again to remove what is left of the earlier one" if there else ""
                error.add_note(f"{PUBLISHED}{left}.")
            else:
                sweep(root, newest_retired(root))
        raise


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


def newest_retired(root: str) -> str | None:
    return max((name for name in left_manifests(root) if RETIRED.fullmatch(name)), default=None)
