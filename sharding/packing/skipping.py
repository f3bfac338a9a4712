"""What is left out of a split by `--bad skip`: named in a report beside the manifest, counted in it.

The plan does not know of it: a skipped picture leaves its place out, and all others stay in the shards and the order
that they would have otherwise. A shard of which nothing is left is not written, and its number stays free.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from tarn.sharding import storage
from tarn.sharding.errors import TarnError
from tarn.sharding.packing.writer import Damage
from tarn.sharding.sources import Problems
from tarn.sharding.sources.place import below

CHOICES = ("fail", "skip")


def refuse_damaged(damaged: Mapping[str, Sequence[Damage]], skip: bool, source: str, root: str) -> None:
    """Raises TarnError that counts the unreadable pictures which must not be skipped, and names ten; all of them stand
    in a report beside the output, which goes when none is left. damaged: by split."""
    refused = {name: [it for it in found if not (skip and it.lasting)] for name, found in damaged.items()}
    where, problems = report_beside(root), Problems()
    for it in in_order([it for found in refused.values() for it in found]):
        problems.add("unreadable pictures", f"{it.picture.place}: {it.problem}")
    if not problems.found:
        with suppress(TarnError):  # where nobody may look beside the output, nothing was written there
            storage.remove(where)
        return
    if not skip:
        problems.advise("--bad skip leaves them out")
    with suppress(TarnError):  # of a full disk: the pictures are what must be told
        storage.publish(where, b"".join(report_of(name, found, source) for name, found in refused.items()))
        problems.advise(f"all are named in {where}")
    problems.raise_if_any(source)


def report_beside(root: str) -> str:
    """`OUT.bad-pictures.jsonl`; of a whole bucket, in it."""
    path = storage.local_path(root)
    if path is not None:
        return f"{path.absolute()}.bad-pictures.jsonl"
    below = root.rstrip("/")
    return f"{below}{'.' if below.count('/') > 2 else '/'}bad-pictures.jsonl"


def in_order(damaged: Sequence[Damage]) -> list[Damage]:
    return sorted(damaged, key=lambda it: str(it.picture.place))


def report_of(split: str, damaged: Sequence[Damage], source: str) -> bytes:
    """One line of JSON for each picture, by their paths below the source; of an archive's member where it begins in
    that."""
    return "".join(
        json.dumps(line_of(split, it, source), ensure_ascii=False) + "\n" for it in in_order(damaged)
    ).encode(errors="backslashreplace")


def line_of(split: str, it: Damage, source: str) -> dict[str, str | int]:
    line: dict[str, str | int] = {"split": split, "key": it.picture.key, "path": below(it.picture.place, source)}
    if isinstance(offset := getattr(it.picture.place, "offset", None), int):
        line["offset"] = offset
    return {**line, "problem": it.problem}


def told_of(report: bytes, name: str) -> dict[str, Any]:
    """What the manifest says of a report. name: below the manifest's folder."""
    return {"pictures": report.count(b"\n"), "report": name, "sha256": hashlib.sha256(report).hexdigest()}


def refuse_empty(split: str, left: int, source: str) -> None:
    """Raises TarnError for a split of which nothing is left."""
    if not left:
        raise TarnError(
            f"{source} cannot be packed: no picture of the split {split!r} is readable. Nothing was published."
        )
