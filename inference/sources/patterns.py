"""Patterns of names, quoted so that no shell has expanded them: `'pictures/**/*.jpg'`, of a disk or a store."""

import glob
import os
from collections.abc import Sequence

from tarn.inference.sources.listings import is_listing
from tarn.sharding import storage
from tarn.sharding.errors import UsageError
from tarn.sharding.sources.tree import EXTENSIONS
from tarn.sharding.storage.persistence import Patience, patiently


def matching(pattern: str) -> Sequence[str]:
    """Paths or URLs, sorted. Folders count where no `**` has gone through them, files where they are pictures or tars.

    Raises UsageError where there are none.
    """
    found = of_disk(pattern) if storage.local_path(pattern) is not None else of_store(pattern)
    if not found:
        raise UsageError(f"{pattern} matches no picture, no folder and no shard: check the pattern.")
    return sorted(found, key=lambda name: name.split("/"))


def of_disk(pattern: str) -> list[str]:
    names = glob.glob(str(storage.local_path(pattern)), recursive=True)  # noqa: PTH207  a string for each
    return [name for name in names if counts(name) or ("**" not in pattern and os.path.isdir(name))]  # noqa: PTH112


def of_store(pattern: str) -> list[str]:
    store = storage.remote(pattern)
    try:
        found = patiently(lambda: store.glob(pattern), pattern, Patience())
    except Exception as error:  # each store raises its own kinds
        raise storage.unreadable(pattern, error) from error
    return [store.unstrip_protocol(name) for name in found if counts(name)]


def counts(name: str) -> bool:
    return name.lower().endswith((*EXTENSIONS, ".tar")) and not is_listing(name)
