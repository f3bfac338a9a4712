"""Whether what was given is a parquet or a listing, or a folder of them, and which of its files are of which split."""

from collections.abc import Callable
from pathlib import Path

from tarn.sharding import storage
from tarn.sharding.errors import UsageError
from tarn.sharding.sources import Source
from tarn.sharding.sources.columns import find_columns
from tarn.sharding.sources.kaggle import is_kaggle
from tarn.sharding.sources.listing import read_listing
from tarn.sharding.sources.parquet import head_of, read_parquet
from tarn.sharding.sources.rows import Rows, is_listing
from tarn.sharding.sources.splits import split_called
from tarn.sharding.sources.splitting import split_of_path
from tarn.sharding.sources.table import TABLES, Table
from tarn.sharding.sources.tree import Folder, PassedOver, is_hidden

DEPTH = 3  # folders between a folder and its parquets, such as data/ or default/train/
MAGIC = b"PAR1"
Read = Callable[[tuple[str, ...]], Source]
Files = dict[str, str | None]  # the split of each, None where its name tells none


def see_file(url: str, path: Path | None, kind: str, how: Table) -> tuple[str, Read] | None:
    """In words what a file is, and what reads it; None for what is no table. Raises UsageError, TarnError."""
    if kind not in ("auto", *TABLES) or (path is not None and not path.is_file()):
        return None
    name = url.rpartition("/")[2]
    if kind == "parquet" or (kind == "auto" and is_parquet(url, path)):
        return see("parquet", url, {url: split_of_path(name)}, how, PassedOver())
    if is_listing(name) if kind == "auto" or path is None else kind == "listing":
        return see("listing", url, {url: split_of_path(name)}, how, PassedOver())
    return None


def is_parquet(url: str, path: Path | None) -> bool:
    """By what it begins with; of a URL by its name alone."""
    return url.lower().endswith(".parquet") or (path is not None and storage.read_range(url, 0, 4) == MAGIC)


def see_folder(root: Folder, kind: str, how: Table) -> tuple[str, Read] | None:
    """The same of a folder; without a word (kind auto) one of class folders is none of this."""
    if kind not in ("auto", *TABLES) or (kind == "auto" and (is_kaggle(root) or has_classes(root))):
        return None
    for each, is_one in (("parquet", lambda name: name.lower().endswith(".parquet")), ("listing", is_listing)):
        if kind in ("auto", each) and (found := files_in(root, is_one, DEPTH if each == "parquet" else 0)):
            passed = PassedOver()
            files = of_splits(root, found, each, kind == "auto", passed)
            if files:
                return see(each, str(root), files, how, passed)
    if kind != "auto":
        raise UsageError(f"{root} holds no {kind}: give a file of it, or the folder that does.")
    return None


def has_classes(root: Folder) -> bool:
    splits = [entry.name for entry in root.entries() if entry.is_folder and split_called(entry.name)]
    inner = (entry for name in splits for entry in root.folder(name).entries())
    return any(entry.is_folder and not is_hidden(entry.name) for entry in inner)


def files_in(folder: Folder, is_one: Callable[[str], bool], depth: int, above: str = "") -> list[str]:
    """Names below it, sorted."""
    found = []
    for entry in folder.entries():
        if is_hidden(entry.name) or (entry.is_link and entry.is_folder):
            continue
        if not entry.is_folder and is_one(entry.name):
            found.append(f"{above}{entry.name}")
        elif entry.is_folder and depth:
            found += files_in(folder.folder(entry.name), is_one, depth - 1, f"{above}{entry.name}/")
    return found


def of_splits(root: Folder, names: list[str], kind: str, unasked: bool, passed: PassedOver) -> Files:
    """Files called like a split; where none is, all of them, of listings a single one that was asked for. unasked: a
    listing beside other things may be anything, unless it is called like a split."""
    told = {name: split_of_path(name) for name in names}
    if any(told.values()):
        for name in (name for name, split in told.items() if split is None):
            passed.add(f"{kind}s called like no split", f"{root}/{name}")
        told = {name: split for name, split in told.items() if split is not None}
    elif kind == "listing" and (unasked or len(told) > 1):
        if unasked:
            return {}
        raise UsageError(f"{root} holds {', '.join(sorted(told)[:5])}, called like no split: give one of them.")
    return {f"{str(root).rstrip('/')}/{name}": split for name, split in told.items()}


def see(kind: str, where: str, files: Files, how: Table, passed: PassedOver) -> tuple[str, Read]:
    first = next(iter(files))
    if kind == "parquet":
        columns, what, read = head_of(first, how).columns, "parquet", read_parquet
    else:
        rows = Rows(first)
        columns, what, read = find_columns(rows.columns, how, first), f"a {rows.kind} listing", read_listing

    def read_all(wanted: tuple[str, ...]) -> Source:
        found = read(files, wanted, how, where)
        found.passed.take(passed)
        return found

    count = f"{len(files):,} files, " if len(files) > 1 else ""
    return f"{what} ({count}{columns})", read_all
