"""What a sample holds beside its picture and its label: the .json of several labels and of fields that were kept."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

SEVERAL = re.compile(r'\{"labels": \[([0-9]+(?:, [0-9]+)*)\](?:, )?')


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

    @classmethod
    def of(cls, json_text: bytes) -> "Beside":
        """As a sample holds it, which `json` gives again, byte by byte. Raises ValueError for what no packing here has
        written."""
        told = json_text.decode("ascii")
        found = SEVERAL.match(told)  # no field that is kept is called so
        labels = tuple(map(int, found[1].split(", "))) if found is not None else None
        beside = cls(labels, told[found.end() if found is not None else 1 : -1])
        if not isinstance(json.loads(told), dict) or beside.json() != json_text:
            raise ValueError("it was not written by a packing here")
        return beside

    def renumbered(self, numbers: Mapping[int, int]) -> "Beside":
        """With the classes that are numbered anew; of others nothing is left."""
        if self.labels is None:
            return self
        return replace(self, labels=tuple(numbers[label] for label in self.labels if label in numbers))


def inside(fields: Mapping[str, Any]) -> str:
    """Of an object. Raises ValueError for what JSON (RFC 8259) has no word for."""
    return json.dumps(dict(fields), allow_nan=False)[1:-1]
