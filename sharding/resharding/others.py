"""What samples hold beside their pictures and labels, and which of it goes along."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tarn.sharding.archives.archive import Archive, DamagedMemberError
from tarn.sharding.archives.headers import DamageError, shown
from tarn.sharding.errors import UsageError
from tarn.sharding.foreign.reading import ENDING, parted
from tarn.sharding.foreign.samples import LABEL
from tarn.sharding.format.archive import BLOCK, padded
from tarn.sharding.looking.members import Part, parts_in

ALL, NONE = "all", "none"
KEPT = "kept"  # in Split.packed: the endings of what went along


@dataclass(frozen=True, slots=True)
class Keep:
    """endings: of the members that go along; None for all. A packing writes .cls itself."""

    endings: tuple[str, ...] | None = None

    @classmethod
    def chosen(cls, text: str | None) -> "Keep":
        """As somebody writes it: all, none, or `txt,json`. Raises UsageError."""
        if text in (None, ALL):
            return cls()
        endings = tuple(sorted({each.strip().lower().removeprefix(".") for each in text.split(",")}))
        if text == NONE:
            return cls(())
        wrong = next((each for each in endings if not ENDING.fullmatch(each) or not each.isascii()), None)
        if wrong is not None:
            raise UsageError(f"--members={text} names {wrong!r}, which is no ending: write all, none, or txt,json.")
        return cls(endings)

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> "Keep":
        """By which a split was packed."""
        return cls(tuple(told["members"]) if "members" in told else None)

    def packed(self) -> dict[str, Any]:
        """What Split.packed tells of it: nothing where nothing was chosen."""
        return {} if self.endings is None else {"members": list(self.endings)}

    def takes(self, ending: str) -> bool:
        return ending != LABEL and (self.endings is None or ending in self.endings)

    def kept(self, beside: Mapping[str, int]) -> dict[str, Any]:
        """What Split.packed tells of what goes along."""
        found = sorted(filter(self.takes, beside))
        return {KEPT: found} if found else {}

    def refuse_absent(self, beside: Mapping[str, int]) -> None:
        """Raises UsageError where members are wanted that no sample has. beside: how many there are of each ending."""
        for ending in self.endings or ():
            if ending not in beside:
                there = ", ".join(f".{shown(each)}" for each in sorted(beside)) or "nothing"
                raise UsageError(f"--members names {ending}, and no sample has one: beside pictures they hold {there}.")

    def notes(self, beside: Mapping[str, int]) -> tuple[str, ...]:
        """On what goes along, and what stays behind."""
        goes = {ending: count for ending, count in beside.items() if self.takes(ending)}
        stays = {ending: count for ending, count in beside.items() if ending not in goes}
        told = ("goes along: ", goes), ("stays behind: ", stays)
        return tuple(f"what samples hold beside picture and label {how}{counts(of)}" for how, of in told if of)


def counts(of: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} .{shown(ending)}" for ending, count in sorted(of.items()))


@dataclass(frozen=True, slots=True)
class Others:
    """Of one sample: in its bytes [start, end) of a tar, around its picture, which takes the whole blocks [picture,
    behind)."""

    archive: Archive
    keep: Keep
    start: int
    picture: int
    behind: int
    end: int

    @classmethod
    def around(cls, archive: Archive, keep: Keep, span: tuple[int, int], offset: int, size: int) -> "Others":
        """span: of the sample; offset, size: of its picture's bytes."""
        return cls(archive, keep, span[0], offset, offset + padded(size), span[1])

    @property
    def size(self) -> int:
        """Bytes that they take in a tar, at most."""
        return self.picture - BLOCK - self.start + self.end - self.behind

    def read(self) -> dict[str, bytes]:
        """By ending. Raises DamagedMemberError; TarnError where the tar cannot be read."""
        try:
            parts = list(self.parts())
        except DamageError as error:
            raise DamagedMemberError(str(self.archive), str(error)) from error
        key = next((parted(part.name)[0] for part in parts if part.offset == self.picture), None)
        named = [(*parted(part.name), part) for part in parts if part.offset != self.picture]
        return {ending: bytes(part.data) for stem, ending, part in named if stem == key and self.keep.takes(ending)}

    def parts(self) -> Iterator[Part]:
        yield from parts_in(self.archive.read(self.start, self.picture - self.start), self.start)
        if self.end > self.behind:
            yield from parts_in(self.archive.read(self.behind, self.end - self.behind), self.behind)
