"""Where a field is read from, in words: `ending`, `ending;ending`, `json:a.b`."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tarn.sharding.errors import UsageError
from tarn.training.streaming.fields.errors import FieldError

ENDING = re.compile(r"[^\s/:;]+")
PICKLED = ("pkl", "pickle", "pt", "pth", "pyd", "joblib")


@dataclass(frozen=True, slots=True)
class Path:
    """endings: of members, the first one that a sample has counts; an ending is all behind a name's first dot. steps:
    into what is read: keys of an object, and of each object where there is a list of them."""

    endings: tuple[str, ...]
    steps: tuple[str, ...]

    @classmethod
    def of(cls, text: str) -> "Path":
        """Raises UsageError for what is no path."""
        ends, colon, steps = text.partition(":")
        endings = tuple(each.strip().removeprefix(".").lower() for each in ends.split(";"))
        if not all(map(ENDING.fullmatch, endings)) or (colon and not all(steps.split("."))):
            raise UsageError(
                f"{text!r} names no member of a sample: write it as txt, png;jpg or json:annotations.bbox."
            )
        return cls(endings, tuple(steps.split(".")) if colon else ())

    @property
    def kind(self) -> str:
        """What the ending says of the content: behind its last dot."""
        return self.endings[0].rpartition(".")[2]

    def into(self, value: Any) -> Any:
        """Raises FieldError where a step is not there."""
        for step in self.steps:
            value = [stepped(each, step) for each in value] if isinstance(value, list) else stepped(value, step)
        return value


def stepped(value: Any, step: str) -> Any:
    if not isinstance(value, Mapping) or step not in value:
        there = (
            f"only {', '.join(map(str, list(value)[:5])) or 'nothing'}" if isinstance(value, Mapping) else "no object"
        )
        raise FieldError(f"has no {step!r}, {there}")
    return value[step]
