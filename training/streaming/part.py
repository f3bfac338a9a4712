"""A dataset as part of a stream: which samples of it, how large a share, and what their labels are."""

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from decimal import Decimal
from numbers import Integral, Real
from os import PathLike, fspath
from typing import Any

from tarn.sharding.errors import UsageError
from tarn.sharding.values import as_told

CLASS_MAPS = ("number", "wnid", "name")
MISSING = ("own", "refuse", "drop")
NUMBER, WHOLE = (Real, Decimal), (Integral,)


@dataclass(frozen=True, slots=True)
class Part:
    """One of several, for ShardLoader and for data.blend. The texts beneath the fields tell what each is."""

    url: str
    """Folder or URL of a packed dataset."""
    _: KW_ONLY
    split: str | None = None
    """Name of its split; null: that of the stream."""
    weight: float | None = None
    """Its share is the weight over the sum of all; of each global batch right to one sample."""
    passes: float | None = None
    """In place of weights: how often an epoch goes through it. Where no part tells either, once."""
    classes: tuple[str | int, ...] = ()
    """Only samples of these classes: folder names (wnids), names or numbers of its own list; none: all."""
    keys: str | None = None
    """Only samples whose keys stand in this file, a line each."""
    fraction: float | tuple[float, float] | None = None
    """Only so much of it, or what lies between two fractions: 0.1 and [0.1, 1] are the two sides of a whole. Drawn by
    the pictures' bytes, as data.val_fraction is."""
    samples: tuple[int, int] | None = None
    """Only these, counted from 0 in the manifest's order: the first one, and the one behind the last."""
    class_map: str = "number"
    """How its classes are found among those of the stream: number (the lists must agree), wnid or name."""
    label_offset: int | None = None
    """In place of class_map: what is added to its labels; its classes are new ones where the list ends."""
    labels: str | None = None
    """A table (CSV, JSON lines or parquet) with the columns key and label, whose labels count in place of its own."""
    missing: str = "own"
    """What a sample gets that the table has no row of: own (its own label), refuse, or drop (it is left out)."""
    storage_options: dict[str, Any] | None = None
    """Of its object store, in fsspec's words; null: those of the stream."""
    client: str | None = None
    """Of its object store; null: that of the stream."""

    def __post_init__(self) -> None:
        for name in ("keys", "labels"):
            if not isinstance(getattr(self, name), str | PathLike | None):
                form = "a key in each line" if name == "keys" else "a table with the columns key and label"
                raise UsageError(
                    f"{self.url}: {name}={as_told(getattr(self, name))} must be the path of a file: write one, {form}."
                )
        for name, value in self.as_fields().items():
            object.__setattr__(self, name, value)
        for name in ("weight", "passes"):
            self.check(name, NUMBER, (0,), "a number above 0")
        self.check("label_offset", WHOLE, (0,), "a whole number")
        self.check("fraction", NUMBER, (0, 2), "a number, or two, such as [0.1, 1]")
        self.check("samples", WHOLE, (2,), "two whole numbers, such as [0, 1000]")
        for name in ("weight", "passes"):
            value = getattr(self, name)
            if value is not None and not 0 < value < float("inf"):
                raise UsageError(f"{self.url}: {name}={value} must be a number above 0.")
        if self.class_map not in CLASS_MAPS:
            raise UsageError(f"{self.url}: class_map={self.class_map!r} is unknown: choose {' or '.join(CLASS_MAPS)}.")
        if self.missing not in MISSING:
            raise UsageError(f"{self.url}: missing={self.missing!r} is unknown: choose {' or '.join(MISSING)}.")
        if self.missing != "own" and self.labels is None:
            raise UsageError(f"{self.url}: missing={self.missing!r} is about a table: name it by labels.")
        if self.label_offset is not None and (self.label_offset < 0 or self.class_map != "number"):
            raise UsageError(
                f"{self.url}: label_offset={self.label_offset} must be at least 0, and stands in place of class_map."
            )
        low, high = self.between
        if not 0 <= low < high <= 1:
            raise UsageError(
                f"{self.url}: fraction={as_told(self.fraction)} must be above 0 and at most 1, or two numbers, the "
                "smaller one first, such as [0.1, 1]."
            )
        if self.samples is not None and not 0 <= self.samples[0] < self.samples[1]:
            raise UsageError(
                f"{self.url}: samples={as_told(self.samples)} must be two numbers from 0 on, the smaller one first."
            )

    def check(self, name: str, kind: tuple[type, ...], lengths: tuple[int, ...], expected: str) -> None:
        """lengths: of a tuple, 0 for no tuple. Raises UsageError for what programs give in place of numbers."""
        told: Any = getattr(self, name)
        values, length = (told, len(told)) if isinstance(told, tuple) else ((told,), 0)
        are_numbers = all(isinstance(each, kind) and not isinstance(each, bool) for each in values)
        if told is not None and not (are_numbers and length in lengths):
            raise UsageError(f"{self.url}: {name}={as_told(told)} must be {expected}.")

    def as_fields(self) -> dict[str, Any]:
        """What a program may give otherwise: paths as texts, lists as tuples, a single class, classes by number."""
        given: Any = self.classes
        classes = [given] if isinstance(given, str | int) else given
        paths = {name: getattr(self, name) for name in ("url", "keys", "labels")}
        spans = {name: getattr(self, name) for name in ("fraction", "samples")}
        return {
            "classes": tuple(each if isinstance(each, int) else str(each) for each in classes),
            **{name: fspath(path) if path is not None else None for name, path in paths.items()},
            **{name: tuple(span) if isinstance(span, list) else span for name, span in spans.items()},
        }

    @property
    def between(self) -> tuple[float, float]:
        """The fractions that it lies between."""
        if self.fraction is None:
            return 0.0, 1.0
        return self.fraction if isinstance(self.fraction, tuple) else (0.0, self.fraction)

    @property
    def is_whole(self) -> bool:
        """Whether it takes all samples of its split."""
        return not self.classes and self.keys is None and self.between == (0.0, 1.0) and self.samples is None

    @property
    def is_plain(self) -> bool:
        """Whether it tells nothing but a dataset."""
        return self == Part(self.url)

    def options(self, others: Mapping[str, Any]) -> dict[str, Any]:
        return dict(others if self.storage_options is None else self.storage_options)


def parts_of(told: object) -> tuple[Part, ...]:
    """Of what was given for a dataset. Raises UsageError for what is none, and for none at all."""
    if isinstance(told, str | PathLike):
        return (Part(fspath(told)),)
    parts = (told,) if isinstance(told, Part) else tuple(told) if isinstance(told, list | tuple) else ()
    if not parts:
        raise UsageError(f"{told!r} names no dataset: give a URL, a Part(url, ...), or a list of parts.")
    return tuple(part if isinstance(part, Part) else parts_of(part)[0] for part in parts)
