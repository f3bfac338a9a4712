"""What somebody gave, looked at."""

from collections.abc import Callable
from dataclasses import dataclass

from tarn.sharding.sources import Source


@dataclass(frozen=True, slots=True)
class Sight:
    """name: as people call it; what: in words; read: takes the names of splits.

    home: the folder, a path or a URL, in which nothing may be written meanwhile; shards: folders of shards that are
    read, which may not lie in the output either.
    """

    name: str
    what: str
    read: Callable[[tuple[str, ...]], Source]
    home: str | None = None
    shards: tuple[str, ...] = ()
