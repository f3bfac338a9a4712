"""Where pictures to predict come from, as a user names them: files, folders, patterns, listings, shards, a pipe."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tarn.inference.pictures import NamedPicture


@dataclass(frozen=True, slots=True)
class Unit:
    """Pictures that are opened together: those of a shard, or a run of single ones.

    key: tells these pictures from others, and from those that lay there before. open: reads what names them, which may
    copy a shard to a disk. count: of the pictures, where it is known before.
    """

    key: str
    open: Callable[[], Sequence[NamedPicture]]
    count: int | None = None
