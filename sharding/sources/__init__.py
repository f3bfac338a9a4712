"""Where pictures come from: each source tells a list of pictures with their labels, and touches nothing."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from tarn.sharding.archives.headers import shown
from tarn.sharding.errors import TarnError
from tarn.sharding.format.manifest import ClassInfo
from tarn.sharding.kinds import counted_kind
from tarn.sharding.sources.beside import Beside
from tarn.sharding.sources.place import Place
from tarn.sharding.sources.tree import PassedOver

SHOWN = 10


class Members(Protocol):
    """size: bytes that they take in a tar, at most. read: their bytes, by ending. Raises DamagedMemberError, or
    TarnError naming where they lie."""

    @property
    def size(self) -> int: ...

    def read(self) -> dict[str, bytes]: ...


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture of a split. key: its unique name in the tars; size: of its file, in bytes, or about so many where its
    place is not exact (see place.py); beside: what becomes the sample's .json, None where it has none; others: members
    that go along as they are, of a sample that lies in a tar."""

    key: str
    place: Place
    label: int
    size: int
    beside: Beside | None = None
    others: Members | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """A dataset as it lies. splits: name to pictures, sorted by key; passed: what lies there and is none of them.

    told: what Split.packed says beside the kind, for the source to be read as it was. notes: what somebody should know
    of it. held: what keeps its files where they are, as long as it is referred to.
    """

    kind: str
    classes: tuple[ClassInfo, ...]
    splits: Mapping[str, tuple[Picture, ...]]
    passed: PassedOver = field(default_factory=PassedOver)
    told: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    held: object = field(default=None, compare=False, repr=False)


@dataclass(slots=True)
class Problems:
    """What is wrong with a source, gathered so that it is told in one go; and what to do about it."""

    found: dict[str, list[str]] = field(default_factory=dict)
    advice: list[str] = field(default_factory=list)

    def add(self, kind: str, name: str) -> None:
        self.found.setdefault(kind, []).append(name)

    def advise(self, what: str | None) -> None:
        """Once, however often it is given."""
        if what is not None and what not in self.advice:
            self.advice.append(what)

    def take(self, other: "Problems") -> None:
        for kind, names in other.found.items():
            self.found.setdefault(kind, []).extend(names)
        for what in other.advice:
            self.advise(what)

    def raise_if_any(self, where: str, doing: str = "packed") -> None:
        """Raises one TarnError that counts every kind and names the first ten of it; doing: what is refused."""
        if not self.found:
            return
        told = []
        for kind, names in self.found.items():
            more = f" and {len(names) - SHOWN:,} more" if len(names) > SHOWN else ""
            told.append(f"{counted_kind(len(names), kind)} ({', '.join(map(shown, names[:SHOWN]))}{more})")
        advice = f": {', and '.join(self.advice)}" if self.advice else ""
        raise TarnError(f"{where} cannot be {doing}: {'; '.join(told)}{advice}. Nothing was published.")
