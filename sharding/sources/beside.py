"""What a sample holds beside its picture and its label: the .json of several labels and of fields that were kept."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True, slots=True)
class Beside:
    """labels: all class numbers of a picture that may have several, its label being the first; None otherwise. fields:
    JSON text of an object's inside, as it was kept."""

    labels: tuple[int, ...] | None = None
    fields: str = ""

    @property
    def size(self) -> int:
        return len(self.json())

    def json(self) -> bytes:
        """ASCII: `{"labels": [3, 7], "id": "a"}`."""
        told = [f'"labels": {list(self.labels)}'] if self.labels is not None else []
        return f"{{{', '.join([*told, *filter(None, [self.fields])])}}}".encode("ascii")

    def renumbered(self, numbers: Mapping[int, int]) -> "Beside":
        """With the classes that are numbered anew; of others nothing is left."""
        if self.labels is None:
            return self
        return replace(self, labels=tuple(numbers[label] for label in self.labels if label in numbers))


def inside(fields: Mapping[str, Any]) -> str:
    """Of an object. Raises ValueError for what JSON (RFC 8259) has no word for."""
    return json.dumps(dict(fields), allow_nan=False)[1:-1]
