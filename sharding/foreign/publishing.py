"""The indexes of somebody else's tars to their places, then the manifest."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from tarn.sharding import storage
from tarn.sharding.format.gathered import check_gathered
from tarn.sharding.format.leftovers import files_of, left_manifests, manifest_of, sweep
from tarn.sharding.format.litter import litter, remove_half_written
from tarn.sharding.format.lock import LOCK, is_being_written, only_writer
from tarn.sharding.format.manifest import PENDING, Manifest, ShardInfo, index_name_of
from tarn.sharding.format.publication import mend_gathered, newest_retired, replace_manifest

WRITING = 16  # index files written at a time


def index_names(
    root: str, digests: Mapping[str, str], before: Manifest | None, others: frozenset[str] = frozenset()
) -> dict[str, str | None]:
    """Where the index of each tar goes, by the tar's name; None for beside it. digests: of the indexes, by tar.
    others: names that another program's indexes have, which stay.

    An index that changes gets a name of its own (x.idx2, x.idx3), for the earlier one is read until the new manifest is
    there, and by who has it open even longer.
    """
    shards = [shard for split in before.splits.values() for shard in split.shards] if before is not None else []
    earlier = {shard.name: shard for shard in shards}
    left = (manifest_of(root, name) for name in left_manifests(root))
    taken = files_of(before).union(others, *map(files_of, left))
    return {tar: name_of(tar, digest, earlier.get(tar), taken) for tar, digest in digests.items()}


def name_of(tar: str, digest: str, earlier: ShardInfo | None, taken: frozenset[str]) -> str | None:
    if earlier is not None and earlier.index_sha256 == digest:
        return earlier.index
    name, number = index_name_of(tar), 2
    if name not in taken:
        return None
    while f"{name}{number}" in taken:
        number += 1
    return f"{name}{number}"


def publish(root: str, manifest: Manifest, indexes: Mapping[str, bytes], before: Manifest | None) -> None:
    """indexes: by their names. Raises TarnError."""

    def put() -> None:
        with ThreadPoolExecutor(WRITING) as pool:
            list(pool.map(lambda name: storage.publish(storage.join(root, name), indexes[name]), indexes))

    if manifest == before:  # what was lost or damaged comes back
        put()
        mend_gathered(root, manifest)
    else:
        replace_manifest(root, manifest, before, put, lambda shard: indexes[shard.index_name], manifest.splits, "index")


def mend(root: str, manifest: Manifest) -> None:
    """What a kill behind the manifest left undone, unless somebody is at work there. Raises TarnError."""
    if is_being_written(root):
        return
    folder = storage.local_path(root)
    left = PENDING in left_manifests(root) or (folder is not None and (folder / LOCK).exists())
    gathered = (check_gathered(root, name, split) for name, split in manifest.splits.items())
    if left or any(litter(root, manifest)) or any(gathered):
        with only_writer(root):
            tidy(root)
            mend_gathered(root, manifest)


def tidy(root: str) -> None:
    """Removes what was left by kills, and what nobody reads any more. Only for who has the lock. Raises TarnError."""
    folder = storage.local_path(root)
    if folder is not None:
        remove_half_written(folder)
    sweep(root, newest_retired(root))
