"""How much two models differ, and how sure that is."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

Z = 1.959964  # of 95 %


@dataclass(frozen=True, slots=True)
class Verdict:
    """Of one picture. label, first, second: wnids; the label is None where the source tells none that both models
    know."""

    picture: str
    label: str | None
    first: str
    second: str

    @property
    def kind(self) -> str | None:
        """What sets the models apart; None where they agree."""
        if self.first == self.second:
            return None
        if self.label is None:
            return "they differ"
        if self.first == self.label:
            return "the first is right"
        return "the second is right" if self.second == self.label else "both are wrong"


@dataclass(frozen=True, slots=True)
class Share:
    """Of pictures, from 0 to 1; low and high: where the true one lies, in 95 of 100 such comparisons."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.2%} ({self.low:.2%} to {self.high:.2%})"


def share(part: int, of: int) -> Share:
    """E. B. Wilson 1927, "Probable Inference, the Law of Succession, and Statistical Inference", J. Am. Stat. Assoc."""
    value, square = part / of, Z * Z
    middle = (value + square / (2 * of)) / (1 + square / of)
    half = Z / (1 + square / of) * math.sqrt(value * (1 - value) / of + square / (4 * of * of))
    return Share(value, max(0.0, middle - half), min(1.0, middle + half))


def difference(gained: int, lost: int, of: int) -> Share:
    """Of top-1, the second minus the first. gained, lost: pictures that one of them alone has right, which is all that
    tells two models on the same pictures apart. A. Agresti and Y. Min 2005, "Simple improved confidence intervals for
    comparing matched proportions", Stat. Med. 24: half a picture is added to each of the four cells."""
    more, less, total = gained + 0.5, lost + 0.5, of + 2
    middle = (more - less) / total
    half = Z * math.sqrt(more + less - (more - less) ** 2 / total) / total
    return Share((gained - lost) / of, max(-1.0, middle - half), min(1.0, middle + half))


@dataclass(frozen=True, slots=True)
class Row:
    """Of a class: its pictures, those that each model has right, and those on which they differ."""

    wnid: str
    pictures: int
    first: int
    second: int
    differ: int


@dataclass(frozen=True, slots=True)
class Figures:
    """labelled: pictures whose label both models know. first, second: top-1; change: of it; agree: of all pictures.
    classes: those with disagreements, most of them first."""

    pictures: int
    labelled: int
    first: Share | None
    second: Share | None
    change: Share | None
    agree: Share
    kinds: dict[str, int]
    classes: tuple[Row, ...]


def figures(verdicts: Sequence[Verdict]) -> Figures:
    """Of at least one."""
    known = [it for it in verdicts if it.label is not None]
    right = [(it.first == it.label, it.second == it.label) for it in known]
    first, second = sum(one for one, _ in right), sum(other for _, other in right)
    gained = sum(other and not one for one, other in right)
    kinds = Counter(it.kind for it in verdicts if it.kind is not None)
    total = len(known)
    return Figures(
        pictures=len(verdicts),
        labelled=total,
        first=share(first, total) if total else None,
        second=share(second, total) if total else None,
        change=difference(gained, gained - (second - first), total) if total else None,
        agree=share(len(verdicts) - kinds.total(), len(verdicts)),
        kinds=dict(sorted(kinds.items())),
        classes=tuple(sorted(rows(known), key=lambda row: (-row.differ, row.wnid))),
    )


def rows(known: Sequence[Verdict]) -> list[Row]:
    by_class: dict[str, list[Verdict]] = {}
    for it in known:
        by_class.setdefault(it.label or "", []).append(it)
    found = [
        Row(
            wnid,
            len(its),
            sum(it.first == wnid for it in its),
            sum(it.second == wnid for it in its),
            sum(it.kind is not None for it in its),
        )
        for wnid, its in by_class.items()
    ]
    return [row for row in found if row.differ]
