"""A new manifest in place of an earlier one: until it is there the dataset is the earlier one, whole and readable."""

import contextlib
from collections.abc import Callable, Mapping

from tarn.sharding import storage
from tarn.sharding.errors import TarnError
from tarn.sharding.format.gathered import check_gathered, gathered_name, lacks_gathered, publish_gathered
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
from tarn.sharding.format.manifest import Manifest, ShardInfo, Split

Read = Callable[[ShardInfo], bytes]  # the index of a shard
PUBLISHED = "the new dataset is published and whole"


def replace_manifest(
    root: str,
    manifest: Manifest,
    before: Manifest | None,
    put: Callable[[], None],
    read: Read,
    splits: Mapping[str, Split],
    again: str,
) -> None:
    """put: writes all that the manifest names and nothing else, under names that the earlier one does not have. read,
    splits: as for commit. again: what to do to have leftovers removed.

    Whatever ends it before the manifest is there, takes away what was published of it, and leaves what was there;
    whatever ends it later is given a note that says so. Raises TarnError.
    """
    try:
        begin(root, before, manifest)
        put()
        commit(root, manifest, before, splits, read)
    except BaseException as error:
        with contextlib.suppress(TarnError):  # a store that is not there: the next one does it
            if not note_published(root, manifest, before, error, again):
                sweep(root, newest_retired(root))
        raise


def begin(root: str, before: Manifest | None, coming: Manifest) -> None:
    """Before anything of what comes is published. Raises TarnError where another manifest than before lies there."""
    refuse_changed(root, before)
    announce(root, coming)


def commit(
    root: str,
    manifest: Manifest,
    before: Manifest | None,
    splits: Mapping[str, Split],
    read: Read,
    prune: bool = False,
) -> None:
    """The manifest, when all that it names is in its place; then what nobody needs any more goes. splits: those that
    are new or replaced. Raises TarnError."""
    there = before.splits.keys() if before is not None else frozenset()
    refuse_changed(root, before)
    gather(root, {name: split for name, split in splits.items() if name not in there}, read)
    spare = retire(root) if before is not None else None
    storage.publish(storage.join(root, MANIFEST), manifest.to_json().encode())
    gather(root, {name: split for name, split in splits.items() if name in there}, read)
    for gone in there - manifest.splits.keys():
        storage.remove(storage.join(root, gathered_name(gone)))
    sweep(root, spare, prune)


def note_published(root: str, manifest: Manifest, before: Manifest | None, error: BaseException, again: str) -> bool:
    """Whether the manifest is there, whatever came then: the error says so. Raises TarnError."""
    if present(root) != manifest:
        return False
    left = f"; {again} again to remove what is left of the earlier one" if before is not None and before.splits else ""
    error.add_note(f"{PUBLISHED}{left}.")
    return True


def gather(root: str, splits: Mapping[str, Split], read: Read) -> None:
    """The indexes of each split in one file. Its name is the same for every packing, for it is read before the manifest
    is known, which tells whether it fits: so that of a split that is replaced comes behind the manifest."""
    for name, split in splits.items():
        publish_gathered(root, name, split, read)


def mend_gathered(root: str, manifest: Manifest, missing: bool = False) -> None:
    """Where a kill came between the manifest and them. missing: also where there is none, of a small split."""
    for name, split in manifest.splits.items():
        if check_gathered(root, name, split) is not None or (missing and lacks_gathered(root, name, split)):
            publish_gathered(root, name, split, published_index(root))


def published_index(root: str) -> Read:
    """Reads the index that lies beside a shard."""
    return lambda shard: storage.read_bytes(storage.join(root, shard.index_name))


def newest_retired(root: str) -> str | None:
    return max((name for name in left_manifests(root) if RETIRED.fullmatch(name)), default=None)
