"""A validation split drawn from the training split of a dataset that has none: data.val_fraction."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from tarn.sharding.errors import UsageError
from tarn.sharding.format.manifest import Manifest
from tarn.training.streaming.access import Access
from tarn.training.streaming.remote.source import source_of
from tarn.training.streaming.sources import Source
from tarn.training.streaming.subset import Holdout, Subset, divided

AT_ONCE = 64  # indexes, of about 25 kB each


def hold_out(root: str, manifest: Manifest, told: Holdout, access: Access) -> tuple[Subset, Subset]:
    """What is left of the split for training, and what is held out: its indexes are read, no picture is.

    Raises UsageError where the dataset has the split that this one would stand in for, or where the fraction leaves one
    side without a picture; TarnError where an index cannot be read.
    """
    if told.val_split in manifest.splits and told.val_split != told.split:
        raise UsageError(
            f"data.val_fraction={told.fraction:g} holds out a part of {told.split!r}, and {root} has the split "
            f"{told.val_split!r} to validate on: leave data.val_fraction out."
        )
    split = manifest.split(told.split)
    source = source_of(root, manifest.shards_root(root), split.shards, access)
    train, val = divided(indexes_of(source), told.fraction)
    held = int(val.sizes.sum())
    if not 0 < held < split.samples:
        raise UsageError(
            f"data.val_fraction={told.fraction:g} holds out {held} of the {split.samples} pictures of {told.split!r}: "
            "choose another one."
        )
    return train, val


def indexes_of(source: Source) -> Iterator[NDArray[np.void]]:
    """In the manifest's order, forgotten when they were given."""
    count = len(source.shards)
    for first in range(0, count, AT_ONCE):
        some = range(first, min(count, first + AT_ONCE))
        source.load_indexes(set(some))
        for shard in some:
            yield source.indexes.pop(shard)


def told_by(provenance: Mapping[str, Any]) -> Holdout | None:
    """What the run that a model comes from held out; None where it held out nothing, or does not tell."""
    try:
        data = yaml.safe_load(str(provenance["config"]))["data"]
        fraction = data["val_fraction"]
        return Holdout(float(fraction), str(data["train_split"]), str(data["val_split"])) if fraction else None
    except (KeyError, TypeError, ValueError, UsageError, yaml.YAMLError):
        return None
