"""Which split a row or a file of a table is of, by its column, its name, or what was asked for."""

from tarn.sharding.errors import UsageError
from tarn.sharding.sources.splits import split_called, splits_within


def split_of_path(name: str, advice: str = "give it a name of one of them") -> str | None:
    """train, val or test by the words of a file's name, else of its innermost folder that has one. Raises UsageError,
    with the advice, for a name with words of two."""
    for part in reversed(name.split("/")):
        told = splits_within(part)
        if len(told) > 1:
            raise UsageError(f"{name} may be of {' or '.join(sorted(told))}: {advice}.")
        if told:
            return told.pop()
    return None


def split_in_cell(cell: object) -> str | None:
    return split_called(cell.strip()) if isinstance(cell, str) else None


def unnamed(wanted: tuple[str, ...]) -> str:
    """What tells no split is the one that was asked for, else train."""
    return wanted[0] if len(wanted) == 1 else "train"


def needs(split: str, wanted: tuple[str, ...]) -> bool:
    """Whether its pictures may be packed: test is val where there is no val."""
    return split in wanted or (split == "test" and "val" in wanted)
