"""_info.json, which lies beside some published tars: their splits, and how many samples each of them holds."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tarn.sharding import storage
from tarn.sharding.errors import TarnError
from tarn.sharding.sources.splits import split_called

NAME = "_info.json"
SHOWN = 3


@dataclass(frozen=True, slots=True)
class Info:
    """url: of the file; splits: names of tars by split; counts: samples by name of tar, where they are told; left_out:
    names of tars that may lie there and are not meant."""

    url: str
    splits: Mapping[str, Sequence[str]]
    counts: Mapping[str, int]
    left_out: frozenset[str] = frozenset()

    def split_by_name(self) -> dict[str, str]:
        return {name: split for split, names in self.splits.items() for name in names}

    def compare(self, names: Sequence[str], root: str) -> None:
        """Raises TarnError where the tars that lie there are not those listed."""
        listed = {name for split in self.splits.values() for name in split}
        missing, more = sorted(listed - set(names)), sorted(set(names) - listed - self.left_out)
        if missing or more:
            raise TarnError(
                f"{self.url} lists {len(listed)} tars, {root} holds {len(names)}: {len(missing)} are missing"
                f"{first(missing)} and {len(more)} are not listed{first(more)}: complete the download, or say by "
                "--split name=pattern which are meant."
            )


def first(names: Sequence[str]) -> str:
    more = ", ..." if len(names) > SHOWN else ""
    return f" ({', '.join(names[:SHOWN])}{more})" if names else ""


def read_info(root: str) -> Info | None:
    """None where there is no such file, or it tells no splits. Raises TarnError where it contradicts itself."""
    url = storage.join(root, NAME)
    if not storage.exists(url):
        return None
    splits: dict[str, Sequence[str]] = {}
    counts: dict[str, int] = {}
    try:
        listed: dict[str, Any] = json.loads(storage.read_bytes(url)).get("splits", {})
        for name, told in listed.items():
            split = split_called(name) or name
            if split in splits:
                raise ValueError(f"two splits are called {split}")
            splits[split] = filenames(told)
            counts |= samples(name, told)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise TarnError(
            f"{url} is no list of splits with filenames and shard_lengths ({error!r}): mend it or move it away."
        ) from error
    return Info(url, splits, counts) if splits else None


def filenames(told: Mapping[str, Any]) -> list[str]:
    return listed_names(list(told["filenames"]))


def listed_names(names: list[str]) -> list[str]:
    """Raises ValueError for one that leads out of its folder."""
    for name in names:
        if not isinstance(name, str) or name.startswith("/") or "://" in name or ".." in name.split("/"):
            raise ValueError(f"{name!r} is no name below its folder")
    return names


def samples(split: str, told: Mapping[str, Any]) -> dict[str, int]:
    """By name of tar; empty where no lengths are told. Raises ValueError where lengths and names do not fit."""
    names, lengths = told["filenames"], told.get("shard_lengths")
    if lengths is None:
        return {}
    total = told.get("num_samples", sum(lengths))
    if len(lengths) != len(names) or sum(lengths) != total:
        raise ValueError(
            f"{split} has {len(names)} filenames, {len(lengths)} shard_lengths of {sum(lengths)} samples, "
            f"and num_samples {total}"
        )
    return dict(zip(names, map(int, lengths), strict=True))
