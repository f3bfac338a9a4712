"""Which source it is that somebody gave: a path or a URL of a folder, a zip, one of ILSVRC's tars, or a table."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tarn.sharding import storage
from tarn.sharding.errors import TarnError, UsageError
from tarn.sharding.sources import Source, ilsvrc
from tarn.sharding.sources.devkit import PACKED
from tarn.sharding.sources.disk import DiskFolder
from tarn.sharding.sources.folder import read_folder
from tarn.sharding.sources.hints import (
    refuse_above_kaggle,
    refuse_inside_of_kaggle,
    refuse_tars,
    refuse_what_holds_a_zip,
    refuse_what_holds_tars,
)
from tarn.sharding.sources.kaggle import PICTURES, is_kaggle, read_kaggle
from tarn.sharding.sources.store import list_store
from tarn.sharding.sources.table import TABLES, Table
from tarn.sharding.sources.tables import see_file, see_folder
from tarn.sharding.sources.tree import Folder
from tarn.sharding.sources.zips import ZipTree

KINDS = ("auto", "kaggle", "folder", "zip", "ilsvrc", *TABLES)
PLAIN = Table()
ZIP_BEGINS = (b"PK\3\4", b"PK\5\6")
SPLITS = ("train", "val")


@dataclass(frozen=True, slots=True)
class Sight:
    """What was given. name: as people call it; what: in words; home: the folder on a disk in which nothing may be
    written meanwhile; read: takes the names of splits."""

    name: str
    what: str
    read: Callable[[tuple[str, ...]], Source]
    home: Path | None = None


def read_source(given: str | os.PathLike[str], split: str, kind: str = "auto", how: Table = PLAIN) -> Source:
    """split: train, val or all; how: of a table, see table.py. Raises TarnError where the source, or the split asked
    for, is not there or is empty."""
    return read_splits(look_at(given, kind, how), split)


def read_splits(seen: Sight, split: str) -> Source:
    wanted = SPLITS if split == "all" else (split,)
    source = storage.local_path(seen.name)
    try:
        found = seen.read(wanted)
        for name in found.splits or wanted:
            if not found.splits.get(name):
                raise TarnError(
                    f"{seen.name} has no pictures of the split {name!r}: check the path or choose another --split."
                )
    except TarnError:
        if source is not None and seen.home is not None and not ilsvrc.tars_in(seen.name):
            if not is_kaggle(DiskFolder(source)):
                refuse_what_holds_a_zip(source)
            refuse_what_holds_tars(source)
            refuse_above_kaggle(source)
        raise
    return found


def look_at(given: str | os.PathLike[str], kind: str = "auto", how: Table = PLAIN) -> Sight:
    """kind: what it is, auto to see for oneself; how: of a table, see table.py. Raises UsageError for what is no
    source, or not of that kind."""
    if kind not in KINDS:
        raise UsageError(f"--source={kind} is unknown: choose one of {', '.join(KINDS)}.")
    path = storage.local_path(given)
    url = str(path) if path is not None else os.fspath(given).rstrip("/")
    if path is not None and not path.exists():
        raise UsageError(
            f"{url} is not there: give a folder of pictures, a zip, the tars of ILSVRC 2012, parquet or a listing."
        )
    if (table := see_file(url, path, kind, how)) is not None:
        return Sight(url, *table)
    folder, _, name = url.rpartition("/")
    if kind == "zip" or (kind != "ilsvrc" and is_zip(url, path)):
        return see_zip(url, kind)
    if name in (ilsvrc.TRAIN, ilsvrc.VAL, PACKED):
        return see_ilsvrc(url, folder or ("." if path is not None and not path.is_absolute() else "/"), kind)
    if path is not None and not path.is_dir():
        if path.suffix == ".tar":
            refuse_tars(path.parent, path.name)
        if url.lower().endswith((".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".7z", ".rar")):
            raise UsageError(
                f"{url} is compressed as a whole and cannot be read at random: unpack it, and give the tree."
            )
        raise UsageError(
            f"{url} is no zip, no folder, no parquet and no listing (.csv, .tsv, .jsonl): give one of these, or ILSVRC "
            "2012's tars."
        )
    is_tree = path is not None and is_kaggle(DiskFolder(path))  # whatever else lies in it
    if kind == "ilsvrc" or (kind == "auto" and not is_tree and ilsvrc.tars_in(url)):
        return see_ilsvrc(url, url, kind)
    root = DiskFolder(path) if path is not None else list_store(url)
    if (table := see_folder(root, kind, how)) is not None:
        return Sight(url, *table)
    if how.is_told:
        raise UsageError(f"--column, --keep, --base and --class-list are of parquet and listings, {url} is none.")
    return see_disk(path, kind) if path is not None else see_store(url, root, kind)


def is_zip(url: str, path: Path | None) -> bool:
    """By what it begins with; of a URL by its name alone."""
    if path is None:
        return url.lower().endswith(".zip")
    if not path.is_file():
        return False
    return path.suffix.lower() == ".zip" or storage.read_range(url, 0, 4) in ZIP_BEGINS


def see_zip(url: str, kind: str) -> Sight:
    tree = ZipTree(url)
    as_kaggle = kind == "kaggle" or (kind != "folder" and tree.is_kaggle)
    what = f"a zip of {named(as_kaggle)} ({tree.count:,} members), read in place"
    return Sight(url, what, lambda wanted: tree.read(wanted, as_kaggle))


def see_ilsvrc(url: str, folder: str, kind: str) -> Sight:
    if kind not in ("auto", "ilsvrc"):
        raise UsageError(f"{url} is one of ILSVRC's tars, not of --source {kind}: leave --source out.")
    there = ilsvrc.tars_in(folder)
    if not there:
        raise UsageError(f"{folder} holds neither {ilsvrc.TRAIN} nor {ilsvrc.VAL}: give the folder that does.")
    what = f"the tars of ILSVRC 2012 ({', '.join(there)}), read in place"
    return Sight(folder, what, lambda wanted: ilsvrc.read_ilsvrc(folder, wanted))


def see_disk(path: Path, kind: str) -> Sight:
    refuse_inside_of_kaggle(path)
    root = DiskFolder(path)
    as_kaggle = chosen(root, kind)
    return Sight(str(path), named(as_kaggle), reader(root, as_kaggle), path / "ILSVRC" if as_kaggle else path)


def see_store(url: str, root: Folder, kind: str) -> Sight:
    as_kaggle = chosen(root, kind)
    return Sight(url, f"{named(as_kaggle)} in a store, each picture a request", reader(root, as_kaggle))


def chosen(root: Folder, kind: str) -> bool:
    """Whether a tree is read as Kaggle's."""
    if kind == "kaggle" and not is_kaggle(root):
        raise UsageError(f"{root} holds no {PICTURES}, so it is no --source kaggle: check the path.")
    return kind == "kaggle" or (kind != "folder" and is_kaggle(root))


def named(as_kaggle: bool) -> str:
    return "the Kaggle ILSVRC download" if as_kaggle else "an ImageFolder tree"


def reader(root: Folder, as_kaggle: bool) -> Callable[[tuple[str, ...]], Source]:
    return lambda wanted: read_kaggle(root, wanted) if as_kaggle else read_folder(root, wanted)
