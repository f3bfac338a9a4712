""".nv-meta, the folder that Megatron Energon's `prepare` makes beside tars: splits, and how many samples each holds.

split.yaml (or split.json) lists the tars of each split, with braces as a shell has them, and what is left out;
.info.json (before, .info.yaml) counts samples. What else lies there is about decoding. Energon's own `<tar>.idx` tell
where samples begin, which is found by reading each tar anyway, for its digest.
"""

from collections.abc import Mapping
from typing import Any

import yaml

from tarn.sharding import storage
from tarn.sharding.errors import TarnError
from tarn.sharding.foreign.info import Info, listed_names
from tarn.sharding.foreign.names import expand
from tarn.sharding.sources.splits import split_called

META = ".nv-meta"
SPLITS, COUNTS = ("split.yaml", "split.json"), (".info.json", ".info.yaml")


def read_energon(root: str) -> Info | None:
    """None where there is no such folder, or it tells no splits. Raises TarnError where it cannot be understood, or
    leaves out single samples, which an index does not."""
    url, told = first_of(root, SPLITS)
    if not told.get("split_parts"):
        return None
    try:
        left_out = {name for text in told.get("exclude") or () for name in expand(text)}
        splits: dict[str, list[str]] = {}
        for part, texts in told["split_parts"].items():
            names = listed_names([name for text in texts for name in expand(text)])
            splits.setdefault(split_called(part) or part, []).extend(names)
        known = {name for names in splits.values() for name in names}
        counts = {name: int(count) for name, count in first_of(root, COUNTS)[1].get("shard_counts", {}).items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise TarnError(f"{url} is no list of split_parts ({error!r}): mend it or move it away.") from error
    if single := sorted(left_out - known):
        raise TarnError(
            f"{url} leaves out single samples ({single[0]}), and an index has all: take them out of its `exclude`, "
            "index, and choose samples by Part(keys=...)."
        )
    kept = {split: [name for name in names if name not in left_out] for split, names in splits.items()}
    return Info(url, {split: names for split, names in kept.items() if names}, counts, frozenset(left_out))


def first_of(root: str, names: tuple[str, ...]) -> tuple[str, Mapping[str, Any]]:
    """The first of these files that is there, and what it holds: JSON is YAML."""
    for name in names:
        url = storage.join(root, f"{META}/{name}")
        if not storage.exists(url):
            continue
        try:
            told = yaml.safe_load(storage.read_bytes(url))
        except yaml.YAMLError as error:
            raise TarnError(f"{url} is no YAML ({' '.join(str(error).split())}): mend it or move it away.") from error
        if not isinstance(told, dict):
            raise TarnError(f"{url} holds no mapping: mend it or move it away.")
        return url, told
    return storage.join(root, META), {}
