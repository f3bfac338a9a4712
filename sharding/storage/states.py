"""What can be known of a file without reading it, and its digest where that is not enough."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tarn.sharding.storage.filesystem import remote
from tarn.sharding.storage.urls import local_path

PIECE = 8 * 2**20  # bytes that are read at a time


@dataclass(frozen=True, slots=True)
class State:
    """version: changes with the bytes: the time of the last write on a disk, the ETag in a store; None where the store
    tells none."""

    size: int
    version: str | None


def state_of(url: str) -> State:
    """Raises what the store raises where the file is not there."""
    path = local_path(url)
    if path is not None:
        told = path.stat()
        return State(told.st_size, str(told.st_mtime_ns))
    store = remote(url)
    store.invalidate_cache()  # other processes write there too
    return state_in(store.info(url))


def states_in(url: str) -> dict[str, State]:
    """Of the files directly in a folder, by their names: one request for many. Empty where there is no folder."""
    path = local_path(url)
    if path is not None:
        found = [entry for entry in path.iterdir() if entry.is_file()] if path.is_dir() else []
        return {entry.name: state_of(str(entry)) for entry in found}
    store = remote(url)
    store.invalidate_cache()
    try:
        entries = store.ls(url, detail=True)
    except FileNotFoundError:
        return {}
    store.invalidate_cache()
    return {entry["name"].rsplit("/", 1)[-1]: state_in(entry) for entry in entries if entry["type"] == "file"}


def state_in(told: Mapping[str, Any]) -> State:
    """Of what fsspec tells of a file."""
    version = next((told[word] for word in ("ETag", "etag", "md5Hash", "content_md5") if told.get(word)), None)
    return State(int(told["size"]), str(version).strip('"') if version is not None else None)


def sha256_of(url: str) -> str:
    """In hex, read piece by piece. Raises what the store raises."""
    told = hashlib.sha256()
    path = local_path(url)
    if path is not None:
        with path.open("rb") as file:
            while piece := file.read(PIECE):
                told.update(piece)
        return told.hexdigest()
    store, at, size = remote(url), 0, state_of(url).size
    while at < size:
        piece = store.cat_file(url, start=at, end=min(size, at + PIECE))
        if not piece:
            break
        told.update(piece)
        at += len(piece)
    return told.hexdigest()
