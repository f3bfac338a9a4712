"""What lies at the output already: whether it is in the way, what of it is wanted, and what goes."""

from collections.abc import Mapping, Sequence, Set
from typing import Any

from tarn.sharding import storage
from tarn.sharding.errors import UsageError
from tarn.sharding.format.leftovers import sweep
from tarn.sharding.format.manifest import ClassInfo, Manifest, Split, are_numbered_alike
from tarn.sharding.format.publication import newest_retired
from tarn.sharding.kinds import counted_kind
from tarn.sharding.packing.counts import COUNTED
from tarn.sharding.packing.staging import clear_staging
from tarn.sharding.sources import Picture, Source
from tarn.sharding.sources.sight import Sight

PLAN = "plan"  # a digest, see plan.py
SHORT = 40  # characters of a value


def tidy(root: str, prune: bool, going_on: bool = False) -> None:
    """What earlier packings left, except what may still be read, and the unfinished one that is gone on with. Only for
    who has the lock. Raises TarnError."""
    clear_staging(root)
    sweep(root, newest_retired(root), prune, going_on=going_on)


def refuse_overlap(seen: Sight, root: str) -> None:
    """Raises UsageError where the output lies in the source, or holds the shards that are to be packed."""
    if seen.home is not None and is_within(root, seen.home):
        raise UsageError(f"the output {root} lies inside the source {seen.name}: choose a folder beside it.")
    for folder in seen.shards:
        if is_within(folder, root):
            raise UsageError(f"the output {root} holds the source, {folder}: choose a folder beside it.")


def is_within(url: str, folder: str) -> bool:
    """Whether it is the folder, or lies in it."""
    path, above = storage.local_path(url), storage.local_path(folder)
    if path is not None and above is not None:
        return path.resolve().is_relative_to(above.resolve())
    return path is None and above is None and f"{url.rstrip('/')}/".startswith(f"{folder.rstrip('/')}/")


def refuse_foreign_tars(before: Manifest | None, root: str) -> None:
    """Raises UsageError where the tars at root are somebody else's, indexed: they are not to be removed."""
    if before is not None and any(split.indexed for split in before.splits.values()):
        raise UsageError(f"{root} holds the index of tars that were packed elsewhere: choose another output.")


def refuse_tars_without_manifest(root: str, plans: Mapping[str, Sequence[Sequence[Picture]]]) -> None:
    """Raises UsageError where a tar lies there under a name that is about to be written, whoever put it there."""
    for split, plan in plans.items():
        there = set(storage.names(storage.join(root, split), ".tar"))
        for name in (f"{split}-{number:06d}.tar" for number in range(len(plan))):
            if name in there:
                raise UsageError(
                    f"{root} has {split}/{name} and no manifest.json, so it may be somebody else's (or what a killed "
                    "packing left): choose another output, or --overwrite to replace it."
                )


def refuse_other_classes(before: Manifest, found: Source, root: str) -> None:
    """Raises UsageError where the dataset at root numbers other classes."""
    ours, theirs = [info.wnid for info in found.classes], [info.wnid for info in before.classes]
    if ours != theirs:
        first = next((pair for pair in zip(ours, theirs, strict=False) if pair[0] != pair[1]), ("none", "none"))
        raise UsageError(
            f"{root} holds a dataset of {counted_kind(len(theirs), 'classes')}, the source has {len(ours):,} (first "
            f"difference: {first[1]} there, {first[0]} here): choose another output, or --overwrite."
        )


def lost_splits(before: Manifest, classes: Sequence[ClassInfo], packed: Set[str]) -> str:
    """Those that are not packed now and number other classes, so that no manifest can hold both; empty for none."""
    lost = before.splits.keys() - packed if not are_numbered_alike(before.classes, classes) else frozenset()
    return " and ".join(map(repr, sorted(lost)))


def refuse_lost_splits(lost: str, root: str) -> None:
    """Raises UsageError where replacing one split would take others away."""
    if lost:
        raise UsageError(
            f"{root} holds the split {lost} too, of other classes, which would be lost: choose another output, or "
            "leave out --split to replace the dataset as a whole."
        )


def changes(there: Split, told: Mapping[str, Any], skip: bool) -> list[str]:
    """What was another when the split was packed. skip: whether unreadable pictures are left out now."""
    packed = {name: value for name, value in there.packed.items() if name not in (*COUNTED, "skipped")}
    changed = [name for name in {**told, **packed} if packed.get(name) != told.get(name)]
    if there.skipped and not skip:
        changed.append("--bad (it left out unreadable pictures)")
    return changed


def said(changed: Sequence[str], there: Mapping[str, Any], here: Mapping[str, Any]) -> str:
    """In the words of the command, with both values where they are short. The plan is another whenever something else
    is, so it is told alone: as a list of other pictures."""
    if changed == [PLAN]:
        return "list of pictures (of other keys, sizes or fields)"
    words = []
    for name in changed:
        if name == PLAN:
            continue
        values = [it.get(name, "none") for it in (there, here)]
        if name.startswith("--") or any(not isinstance(it, int | str) or len(str(it)) > SHORT for it in values):
            words.append(name)
        else:
            both = " there, ".join(f"{value:,}" if isinstance(value, int) else value for value in values)
            words.append(f"{name.replace('_', '-')} ({both} here)")
    return ", ".join(words)


def refuse_other(there: Split, split: str, told: Mapping[str, Any], root: str, skip: bool) -> None:
    """Raises UsageError where the split that lies there is another one, or not whole."""
    changed = changes(there, told, skip)
    if not changed and all(
        storage.exists(url) and storage.size(url) == shard.bytes
        for shard in there.shards
        for url in [storage.join(root, shard.name)]
    ):
        return
    if changed:
        raise UsageError(
            f"{root} holds a split {split!r} packed with another {said(changed, there.packed, told)}: choose another "
            "output, or --overwrite to replace it."
        )
    raise UsageError(
        f"{root} holds a split {split!r} with missing or cut shards: python -m tarn.sharding repair {root} SRC makes "
        "those anew, or choose another output, or --overwrite to replace it."
    )
