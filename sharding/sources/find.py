"""Which source a folder is; and where it is none, what it may be and what to give instead."""

from itertools import islice
from pathlib import Path

from tarn.sharding.errors import TarnError, UsageError
from tarn.sharding.sources import Source
from tarn.sharding.sources.folder import read_folder
from tarn.sharding.sources.kaggle import PICTURES, is_kaggle, read_kaggle
from tarn.sharding.sources.splits import split_called

DEPTH = 2  # folders between a folder and the tars that it may hold


def read_source(source: Path, split: str) -> Source:
    """split: train, val or all. Raises TarnError where the tree, or the split asked for, is not there or is empty."""
    if source.is_file() and source.suffix == ".tar":
        refuse_tars(source.parent, source.name)
    if not source.is_dir():
        raise UsageError(f"{source} is not a folder: give an unpacked Kaggle ILSVRC download or an ImageFolder tree.")
    refuse_inside_of_kaggle(source)
    wanted = ("train", "val") if split == "all" else (split,)
    try:
        found = read_kaggle(source, wanted) if is_kaggle(source) else read_folder(source, wanted)
        for name in found.splits or wanted:
            if not found.splits.get(name):
                raise TarnError(
                    f"{source} has no pictures of the split {name!r}: check the path or choose another --split."
                )
    except TarnError:
        refuse_what_holds_tars(source)
        refuse_above_kaggle(source)
        raise
    return found


def refuse_inside_of_kaggle(source: Path) -> None:
    """A folder of the download itself, where val has no labels. With val in class folders (or without any) it is an
    ImageFolder tree too, and taken."""
    here = source.absolute()
    for above in here.parents:
        inside = [above.joinpath(*PICTURES.parts[: depth + 1]) for depth in range(len(PICTURES.parts))]
        if is_kaggle(above) and here in inside and not (here == inside[-1] and is_sorted(here)):
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
        if path.is_dir() and is_kaggle(path):
            raise UsageError(f"{source} holds the Kaggle ILSVRC download one folder deeper: give {path}.")


def refuse_what_holds_tars(source: Path) -> None:
    found = (path for depth in range(DEPTH) for path in source.glob("*/" * depth + "*.tar"))
    names = [str(path.relative_to(source)) for path in islice(found, 1)]
    if names:
        refuse_tars(source, names[0])


def refuse_tars(folder: Path, name: str) -> None:
    raise UsageError(
        f"{folder} holds tars ({name}), which are packed already: index them where they lie, by "
        f"`python -m tarn.sharding index {folder}`."
    )
