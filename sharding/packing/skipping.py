"""What is left out of a split by `--bad skip`: named in a report beside the manifest, counted in it.

The plan does not know of it: a skipped picture leaves its place out, and all others stay in the shards and the order
that they would have otherwise. A shard of which nothing is left is not written, and its number stays free.
"""

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from tarn.sharding.errors import TarnError
from tarn.sharding.packing.writer import Damage, Written
from tarn.sharding.sources import Problems
from tarn.sharding.sources.place import below

CHOICES = ("fail", "skip")


def refuse_damaged(written: Sequence[Written], skip: bool, source: str) -> None:
    """Raises TarnError that counts and names the unreadable pictures which must not be skipped."""
    problems = Problems()
    for damage in (damage for part in written for damage in part.damaged if not (skip and damage.lasting)):
        problems.add("unreadable pictures", f"{damage.picture.place}: {damage.problem}")
    problems.raise_if_any(source)


def report_of(split: str, damaged: Sequence[Damage], source: str) -> bytes:
    """One line of JSON for each picture, its path below the source."""
    lines = [
        {"split": split, "key": it.picture.key, "path": below(it.picture.place, source), "problem": it.problem}
        for it in damaged
    ]
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines).encode(errors="backslashreplace")


def told_of(report: bytes, name: str) -> dict[str, Any]:
    """What the manifest says of a report. name: below the manifest's folder."""
    return {"pictures": report.count(b"\n"), "report": name, "sha256": hashlib.sha256(report).hexdigest()}


def refuse_empty(split: str, left: int, source: str) -> None:
    """Raises TarnError for a split of which nothing is left."""
    if not left:
        raise TarnError(
            f"{source} cannot be packed: no picture of the split {split!r} is readable. Nothing was published."
        )
