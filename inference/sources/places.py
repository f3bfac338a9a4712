"""Single pictures of a disk or a store, alone or below a folder."""

import os
import sys

from tarn.inference.pictures import InStore, NamedPicture, OnDisk
from tarn.sharding import storage
from tarn.sharding.foreign.labels import Label
from tarn.sharding.sources import tree
from tarn.sharding.sources.disk import DiskFolder
from tarn.sharding.sources.store import list_store
from tarn.sharding.sources.tree import PassedOver


def picture_at(url: str, label: Label | None = None, is_named: bool = False) -> NamedPicture:
    """label: where none is told, the name of the folder, which only counts where it is one of the model's classes.
    is_named: by a user, so that it may be a pipe."""
    path = storage.local_path(url)
    told = label if label is not None else sys.intern(os.path.basename(os.path.dirname(url)))  # noqa: PTH119, PTH120
    place = OnDisk(url if url == str(path) else str(path), is_named) if path is not None else InStore(url)
    return NamedPicture(url, place, told)


def pictures_below(url: str) -> list[NamedPicture]:
    """Of a folder and all below it, in the order of their names, folder by folder. Raises TarnError naming a folder
    that cannot be listed."""
    path = storage.local_path(url)
    home = DiskFolder(path) if path is not None else list_store(url)
    found = tree.pictures_below(home, "", PassedOver())
    names = sorted((f"{each.folder}/{each.name}" if each.folder else each.name) for each in found)
    names.sort(key=lambda name: name.split("/"))
    return [picture_at(storage.join(str(path) if path is not None else url, name)) for name in names]
