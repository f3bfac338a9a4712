"""Shards to their places, then the manifest: until it is there the dataset is the earlier one, whole and readable."""

from collections.abc import Mapping
from pathlib import Path

from tarn.sharding import storage
from tarn.sharding.format.leftovers import sweep
from tarn.sharding.format.manifest import ClassInfo, Manifest, Split
from tarn.sharding.format.publication import newest_retired, replace_manifest
from tarn.sharding.packing.staging import clear_staging


def publish(
    root: str,
    staging: Path,
    classes: tuple[ClassInfo, ...],
    before: Manifest | None,
    splits: Mapping[str, Split],
    prune: bool,
) -> Manifest:
    """As replace_manifest does it. Raises TarnError."""
    kept = dict(before.splits) if before is not None and before.classes == classes else {}
    manifest = Manifest(classes, dict(sorted({**kept, **splits}.items())))
    shards = [shard for split in splits.values() for shard in split.shards]
    indexes = {shard.index_name: (staging / shard.index_name).read_bytes() for shard in shards}

    def put() -> None:
        for split in splits.values():
            move(root, staging, split)

    replace_manifest(root, manifest, before, put, indexes, splits, prune)
    return manifest


def move(root: str, staging: Path, split: Split) -> None:
    """Everything that the manifest names of a split."""
    names = [name for shard in split.shards for name in (shard.name, shard.index_name)]
    for name in (*names, *([split.report] if split.report is not None else [])):
        storage.publish_file(staging / name, storage.join(root, name))


def tidy(root: str, prune: bool) -> None:
    """What earlier packings left, except what may still be read. Raises TarnError."""
    out = storage.local_path(root)
    if out is not None:
        clear_staging(out)
    sweep(root, newest_retired(root), prune)
