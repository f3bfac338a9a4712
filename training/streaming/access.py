"""How the bytes of a dataset are reached: the client, its patience, the cache of this host."""

import os
import re
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tarn.sharding import storage
from tarn.sharding.errors import TarnError, UsageError
from tarn.sharding.home import home_cache, temporary
from tarn.sharding.sizes import parse_size
from tarn.sharding.storage.persistence import Patience
from tarn.sharding.storage.told import CHOICES, DEADLINE
from tarn.sharding.storage.urls import expanded

CACHE_LIMIT = "80%"


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """cache: a folder, None for range reads only. cache_limit: bytes. options: of the store, in fsspec's words."""

    options: Mapping[str, Any] = field(default_factory=dict)
    client: str = "auto"
    cache: Path | None = None
    cache_limit: int = 0
    patience: Patience = field(default_factory=Patience)


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessConfig:
    """As people write it. storage_options: in fsspec's words. client: auto, obstore or fsspec.

    cache: auto (TARN_CACHE, else ~/.cache/tarn), none, or a folder; data on local disks is read in place.
    cache_limit: 500GB, or 80% of what the disk has free beside the cache. deadline: seconds without a byte.
    Raises UsageError naming the key.
    """

    storage_options: Mapping[str, Any] = field(default_factory=dict)
    client: str = "auto"
    cache: str = "auto"
    cache_limit: str | int = CACHE_LIMIT
    deadline: float = DEADLINE

    def __post_init__(self) -> None:
        if self.client not in CHOICES:
            raise UsageError(f"data.client={self.client!r} is unknown: choose one of {', '.join(CHOICES)}.")
        if self.deadline <= 0:
            raise UsageError(f"data.deadline={self.deadline} must be above 0 seconds.")

    def folder(self) -> Path | None:
        """Of the cache, whether data lie in a store or not; None where there is to be none."""
        if self.cache == "none":
            return None
        return expanded(self.cache) if self.cache != "auto" else default_cache()

    def resolve(self, root: str) -> Access:
        """Made definite for this host. Raises UsageError for a limit that is none, TarnError for an unusable cache."""
        known = Access(
            options=dict(self.storage_options), client=self.client, patience=Patience(deadline=self.deadline)
        )
        if storage.local_path(root) is not None or (folder := self.folder()) is None:
            return known
        try:
            folder.mkdir(parents=True, exist_ok=True)
            return replace(known, cache=folder, cache_limit=limit_of(folder, self.cache_limit))
        except OSError as error:
            raise TarnError(
                f"the cache {folder} cannot be used ({error.strerror}): set data.cache to another folder, or to none."
            ) from error


def default_cache() -> Path:
    """TARN_CACHE, else in the user's cache; where there is no home, or it cannot be written, a temporary folder."""
    told, home = os.environ.get("TARN_CACHE"), home_cache()
    if told:
        return expanded(told)
    if home is not None:
        with suppress(OSError):
            (home / "tarn").mkdir(parents=True, exist_ok=True)
            return home / "tarn"
    return temporary("cache")


def limit_of(folder: Path, told: str | int) -> int:
    """Bytes of `80%` (of the free space and what the cache holds already) or of a size such as 500GB."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*%\s*", str(told))
    if match is None:
        return parse_size(str(told), "data.cache_limit")
    if not 0 < float(match[1]) <= 100:
        raise UsageError(f"data.cache_limit={told!r} must be above 0% and at most 100%, or a size such as 500GB.")
    held = sum(entry.stat().st_size for entry in os.scandir(folder) if entry.is_file())
    return int((shutil.disk_usage(folder).free + held) * float(match[1]) / 100)
