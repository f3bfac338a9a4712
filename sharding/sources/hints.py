"""What is no source, and still close to one: what to give instead."""

import errno
from itertools import islice
from pathlib import Path

from tarn.sharding.errors import TarnError, UsageError
from tarn.sharding.sources.disk import DiskFolder
from tarn.sharding.sources.kaggle import PICTURES, ZIP, is_kaggle
from tarn.sharding.sources.rows import is_listing
from tarn.sharding.sources.splits import split_called

DEPTH = 2  # folders between a folder and the tars that it may hold


def refuse_inside_of_kaggle(source: Path) -> None:
    """A folder of the download itself, where val has no labels. With val in class folders (or without any) it is an
    ImageFolder tree too, and taken."""
    here, parts = source.absolute(), PICTURES.split("/")
    for above in here.parents:
        inside = [above.joinpath(*parts[: depth + 1]) for depth in range(len(parts))]
        if is_kaggle(DiskFolder(above)) and here in inside and not (here == inside[-1] and is_sorted(here)):
            raise UsageError(
                f"{source} is a part of the Kaggle ILSVRC download in {above}: give that folder, {above}, which holds "
                "the lists of labels beside ILSVRC; no file needs to be moved."
            )


def is_sorted(home: Path) -> bool:
    """Whether all its splits have class folders."""
    splits = [path for path in home.iterdir() if path.is_dir() and split_called(path.name) in ("train", "val")]
    return bool(splits) and all(any(path.is_dir() for path in split.iterdir()) for split in splits)


def refuse_above_kaggle(source: Path) -> None:
    for path in sorted(source.iterdir()):
        if path.is_dir() and is_kaggle(DiskFolder(path)):
            raise UsageError(f"{source} holds the Kaggle ILSVRC download one folder deeper: give {path}.")


def refuse_what_holds_a_zip(source: Path) -> None:
    if (source / ZIP).is_file():
        raise UsageError(f"{source} holds the Kaggle ILSVRC download as a zip: give {source / ZIP}.")


def refuse_what_holds_tars(source: Path) -> None:
    found = (path for depth in range(DEPTH) for path in source.glob("*/" * depth + "*.tar"))
    names = [str(path.relative_to(source)) for path in islice(found, 1)]
    if names:
        refuse_tars(source, names[0])


def refuse_what_holds_listings(source: Path) -> None:
    """None of which is called like a split. Kaggle's own lists are no listings."""
    names = [path.name for path in sorted(source.iterdir()) if is_listing(path.name) and path.name[:4] != "LOC_"]
    if names:
        more = f" and {len(names) - 5:,} more" if len(names) > 5 else ""
        raise UsageError(
            f"{source} holds {', '.join(names[:5])}{more}, but no listing that is called like a split (train.csv, "
            "val.csv): give one of them."
        )


def refuse_tars(folder: Path, name: str) -> None:
    raise UsageError(
        f"{folder} holds tars ({name}): pack their samples by --source shards, or index them where they lie, by "
        f"`python -m tarn.sharding index {folder}`."
    )


def refuse_unreachable(path: Path) -> None:
    """Raises TarnError where nobody may look whether it is there."""
    try:
        path.stat()
    except PermissionError as error:
        raise TarnError(f"{path} cannot be looked at ({error.strerror}): check the permissions above it.") from error
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise UsageError(f"{path} is no name of a source ({error.strerror}): check the path.") from error


def refuse_file(path: Path) -> None:
    """That is no zip, and no tar by its name."""
    if path.suffix == ".tar":
        refuse_tars(path.parent, path.name)
    if path.name.lower().endswith((".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst", ".7z", ".rar")):
        raise UsageError(
            f"{path} is compressed as a whole and cannot be read at random: unpack it, and give the tree, or the tar "
            "of samples."
        )
    raise UsageError(
        f"{path} is no zip, no folder, no parquet and no listing (.csv, .tsv, .jsonl): give one of these, ILSVRC's "
        "tars, or shards."
    )
