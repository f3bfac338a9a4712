"""Which source it is that somebody gave: a path or a URL of a folder, a zip, one of ILSVRC's tars, or a table."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tarn.sharding import storage
from tarn.sharding.errors import TarnError, UsageError
from tarn.sharding.foreign.names import is_pattern
from tarn.sharding.resharding import sight
from tarn.sharding.resharding.words import KIND as SHARDS
from tarn.sharding.resharding.words import SampleWords
from tarn.sharding.sources import SHOWN, Source, ilsvrc
from tarn.sharding.sources.devkit import PACKED
from tarn.sharding.sources.disk import DiskFolder
from tarn.sharding.sources.folder import read_folder, split_homes
from tarn.sharding.sources.hints import (
    refuse_above_kaggle,
    refuse_file,
    refuse_inside_of_kaggle,
    refuse_unreachable,
    refuse_what_holds_a_zip,
    refuse_what_holds_listings,
    refuse_what_holds_tars,
)
from tarn.sharding.sources.kaggle import PICTURES, is_kaggle, read_kaggle
from tarn.sharding.sources.sight import Sight
from tarn.sharding.sources.store import list_store
from tarn.sharding.sources.table import TABLES, Table, kind_of_split
from tarn.sharding.sources.tables import see_file, see_folder
from tarn.sharding.sources.tree import Folder, PassedOver
from tarn.sharding.sources.zips import ZipTree
from tarn.sharding.storage.urls import refuse_unnamed

KINDS = ("auto", "kaggle", "folder", "zip", "ilsvrc", *TABLES, SHARDS)
PLAIN = Table()
ZIP_BEGINS = (b"PK\3\4", b"PK\5\6")
SPLITS = ("train", "val")


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
        if source is not None and seen.home is not None and not (seen.shards or ilsvrc.tars_in(seen.name)):
            if not is_kaggle(DiskFolder(source)):
                refuse_what_holds_a_zip(source)
            refuse_what_holds_tars(source)
            refuse_above_kaggle(source)
            if not split_homes(DiskFolder(source), PassedOver()):
                refuse_what_holds_listings(source)
        raise
    refuse_unspeakable(found, seen.name)
    return found


def refuse_unspeakable(found: Source, name: str) -> None:
    """Raises TarnError for names of classes that no manifest can hold: those of folders that are no UTF-8."""
    wrong = [ascii(info.wnid) for info in found.classes if not info.wnid.isprintable() and not is_text(info.wnid)]
    if wrong:
        more = f" and {len(wrong) - SHOWN} more" if len(wrong) > SHOWN else ""
        raise TarnError(
            f"{name} has {len(wrong)} classes whose names are no UTF-8 ({', '.join(wrong[:SHOWN])}{more}): rename them."
        )


def is_text(name: str) -> bool:
    """Whether UTF-8 can hold it: a lone surrogate stands for a byte that was none of it (PEP 383)."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def look_at(
    given: str | os.PathLike[str], kind: str = "auto", how: Table = PLAIN, words: SampleWords | None = None
) -> Sight:
    """kind: what it is, auto to see for oneself; how: of a table, see table.py; words: how samples of shards are read.
    Raises UsageError for what is no source, or not of that kind."""
    if kind not in KINDS:
        raise UsageError(f"--source={kind} is unknown: choose one of {', '.join(KINDS)}.")
    refuse_unnamed(given, "the source's name")
    path = storage.local_path(given)
    url, words = str(path) if path is not None else os.fspath(given).rstrip("/"), words or SampleWords()
    if path is not None:
        refuse_unreachable(path)
    if kind == SHARDS or (kind == "auto" and are_named(url, path)):
        return sight.see_shards(url, words)
    seen = look_at_folder(url, path, kind, how, words)
    if not seen.shards:
        words.refuse_endings(seen.what)
    return seen


def look_again(given: str | os.PathLike[str], packed: Mapping[str, Any], table: Table = PLAIN) -> Sight:
    """At what a split was packed from, as it was read then. packed: Split.packed; table: where that of a table lies
    which is not told there."""
    if packed.get("source") == SHARDS and sight.may_be_shards(given):
        return look_at(given, SHARDS, words=SampleWords.of(packed))
    return look_at(given, kind_of_split(packed), table.of(packed))


def look_again_at_all(
    given: str | os.PathLike[str], splits: Mapping[str, Mapping[str, Any]], table: Table = PLAIN
) -> dict[str, Sight]:
    """By split; once where several were read alike."""
    seen: dict[str, Sight] = {}
    told = ("source", SHARDS, "table")
    how = {name: repr([packed.get(word) for word in told]) for name, packed in splits.items()}
    for name, way in how.items():
        if way not in seen:
            seen[way] = look_again(given, splits[name], table)
    return {name: seen[way] for name, way in how.items()}


def are_named(url: str, path: Path | None) -> bool:
    """Whether shards are given by the names of their tars."""
    return not is_zip(url, path) and url.rpartition("/")[2] not in (ilsvrc.TRAIN, ilsvrc.VAL) and is_pattern(url)


def look_at_folder(url: str, path: Path | None, kind: str, how: Table, words: SampleWords) -> Sight:
    """Or at one file."""
    if path is not None and not path.exists():
        raise UsageError(
            f"{url} is not there: give a folder of pictures, a zip, ILSVRC's tars, parquet, a listing, or shards."
        )
    if (table := see_file(url, path, kind, how)) is not None:
        return Sight(url, *table)
    folder, _, name = url.rpartition("/")
    if kind == "zip" and path is not None and path.is_dir():
        raise UsageError(f"{url} is a folder, so it is no --source zip: give the zip, or leave --source out.")
    if kind == "zip" or (kind != "ilsvrc" and is_zip(url, path)):
        return see_zip(url, kind)
    if name in (ilsvrc.TRAIN, ilsvrc.VAL, PACKED):
        return see_ilsvrc(url, folder or ("." if path is not None and not path.is_absolute() else "/"), kind)
    if path is not None and not path.is_dir():
        refuse_file(path)
    is_tree = path is not None and is_kaggle(DiskFolder(path))  # whatever else lies in it
    if kind == "ilsvrc" or (kind == "auto" and not is_tree and ilsvrc.tars_in(url)):
        return see_ilsvrc(url, url, kind)
    if kind == "auto" and not is_tree and sight.is_told(url):
        return sight.see_shards(url, words)
    root = DiskFolder(path) if path is not None else list_store(url)
    if kind == "auto" and not is_kaggle(root) and sight.are_in(root):
        return sight.see_shards(url, words)
    if (table := see_folder(root, kind, how)) is not None:
        return Sight(url, *table)
    if how.is_told:
        raise UsageError(f"--column, --keep, --base and --class-list are of tables and shards, {url} is none.")
    return see_disk(path, kind) if path is not None else see_store(root, kind)


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
    what = named(as_kaggle) if as_kaggle or split_homes(root, PassedOver()) else "a folder"
    return Sight(str(path), what, reader(root, as_kaggle), str(path / "ILSVRC" if as_kaggle else path))


def see_store(root: Folder, kind: str) -> Sight:
    as_kaggle = chosen(root, kind)
    is_tree = as_kaggle or split_homes(root, PassedOver())
    what = f"{named(as_kaggle)} in a store, each picture a request" if is_tree else "a folder of a store"
    return Sight(str(root), what, reader(root, as_kaggle))


def chosen(root: Folder, kind: str) -> bool:
    """Whether a tree is read as Kaggle's."""
    if kind == "kaggle" and not is_kaggle(root):
        raise UsageError(f"{root} holds no {PICTURES}, so it is no --source kaggle: check the path.")
    if kind == "folder" and is_kaggle(root) and not split_homes(root, PassedOver()):
        raise UsageError(f"{root} is the Kaggle ILSVRC download, so it is no --source folder: leave --source out.")
    return kind == "kaggle" or (kind != "folder" and is_kaggle(root))


def named(as_kaggle: bool) -> str:
    return "the Kaggle ILSVRC download" if as_kaggle else "an ImageFolder tree"


def reader(root: Folder, as_kaggle: bool) -> Callable[[tuple[str, ...]], Source]:
    return lambda wanted: read_kaggle(root, wanted) if as_kaggle else read_folder(root, wanted)
