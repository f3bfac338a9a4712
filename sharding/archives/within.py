"""What all members of archives have in common as places (see sources/place.py)."""

from tarn.sharding.archives.archive import Archive


class Within:
    """path: the member's name in the archive; size: of what it holds, in bytes."""

    __slots__ = ()
    archive: Archive
    path: str
    size: int

    def __str__(self) -> str:
        return f"{self.archive}/{self.path}"

    @property
    def is_far(self) -> bool:
        return not self.archive.is_local

    def length(self) -> int:
        return self.size
