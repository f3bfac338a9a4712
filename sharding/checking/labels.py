"""Keys and labels of a split against those of the source that it was packed from."""

import json
import os
from collections.abc import Iterator, Sequence

from tarn.sharding import storage
from tarn.sharding.checking.repeated import key_at
from tarn.sharding.checking.shard import Checked, Task
from tarn.sharding.errors import TarnError, UsageError
from tarn.sharding.foreign.samples import digest
from tarn.sharding.format.manifest import Manifest, parse_index
from tarn.sharding.kinds import counted_kind
from tarn.sharding.sources.find import PLAIN, look_again, read_splits
from tarn.sharding.sources.selection import Selection, selected
from tarn.sharding.sources.table import Table

NAMED = 10  # keys of each kind


def check_labels(
    root: str,
    manifest: Manifest,
    name: str,
    tasks: Sequence[Task],
    checked: Sequence[Checked],
    source: str | os.PathLike[str],
    table: Table = PLAIN,
) -> Iterator[str]:
    """A sentence for each kind of difference. tasks, checked: of the split, in order; a shard that is not sound is
    left out, it is told already. table: where that of a listing lies which the manifest does not tell. Raises TarnError
    for a source that cannot be read."""
    split = manifest.split(name)
    if split.indexed:
        raise UsageError(f"--source={source} is compared with what was packed of it: {root} holds indexed tars.")
    read = read_splits(look_again(source, split.packed, table), name)
    found = selected(read, Selection.of(split.packed), int(split.packed.get("seed", 0)))
    wanted = {digest(picture.key): (picture.key, picture.label) for picture in found.splits[name]}
    there = [info.wnid for info in manifest.classes]
    here = [info.wnid for info in found.classes]
    unknown, other = list[tuple[Task, int]](), list[tuple[Task, int, str]]()
    for task, part in zip(tasks, checked, strict=True):
        if part.digests is None:
            continue
        labels = parse_index(storage.read_bytes(task.index_url), task.index_url)["label"]
        for row, (number, label) in enumerate(zip(part.digests.tolist(), labels.tolist(), strict=True)):
            told = wanted.pop(number, None)
            if told is None:
                unknown.append((task, row))
            elif (mine := label_of(there, label)) != (theirs := label_of(here, told[1])):
                other.append((task, row, f"{told[0]}: {mine} there, {theirs} at the source"))
    where = f"{root}, split {name!r}"
    if unknown:
        names = [key_at(task, row) for task, row in unknown[:NAMED]]
        count = counted_kind(len(unknown), "pictures that are not at the source")
        yield f"{where}: {count} ({listed(names, len(unknown))})."
    if other:
        count = counted_kind(len(other), "pictures of another label")
        yield f"{where}: {count} ({listed([it[2] for it in other[:NAMED]], len(other))})."
    sound = all(part.digests is not None for part in checked)
    left = sorted({key for key, _ in wanted.values()} - skipped(root, split.report)) if sound else []
    if left:
        count = counted_kind(len(left), "pictures of the source that are missing")
        yield f"{where}: {count} ({listed(left[:NAMED], len(left))})."


def label_of(names: Sequence[str], label: int) -> str:
    return names[label] if 0 <= label < len(names) else str(label)


def listed(names: Sequence[str], count: int) -> str:
    return ", ".join(names) + (f" and {count - len(names):,} more" if count > len(names) else "")


def skipped(root: str, report: str | None) -> set[str]:
    """Keys that were left out as unreadable; none where the report cannot be read, which is told elsewhere."""
    if report is None:
        return set()
    try:
        lines = storage.read_bytes(storage.join(root, report)).decode("utf-8", "replace").splitlines()
        return {str(json.loads(line)["key"]) for line in lines}
    except (TarnError, ValueError, KeyError):
        return set()
