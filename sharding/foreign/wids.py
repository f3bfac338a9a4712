"""The shard list of webdataset's wids: a JSON file that names tars by URL, and counts the samples of each.

    {"wids_version": 1, "shardlist": [{"url": "train-000000.tar", "nsamples": 1000, "filesize": 3563520}, ...]}

URLs are full ones, or stand below the folder of the file (or its `base_path`). It tells no splits: names of tars do, or
--split.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tarn.sharding import storage
from tarn.sharding.errors import TarnError
from tarn.sharding.foreign.info import Info, listed_names

ENDING = ".json"


@dataclass(frozen=True, slots=True)
class ShardList:
    """root: URL of the folder in which all tars lie; names below it; sizes in bytes, where they are told."""

    root: str
    names: Sequence[str]
    sizes: Mapping[str, int]
    info: Info


def is_shard_list(url: str) -> bool:
    """Whether it names a file of that kind."""
    path = storage.local_path(url)
    return url.lower().endswith(ENDING) and not (path is not None and path.is_dir())


def read_shard_list(url: str) -> ShardList:
    """Raises TarnError where it is no such file, or its tars lie in several places."""
    try:
        told = json.loads(storage.read_bytes(url))
        shards, folder = told["shardlist"], str(told.get("base_path") or url.rpartition("/")[0] or ".")
        urls = [whole(str(shard["url"]), folder) for shard in shards]
        counts = [int(shard["nsamples"]) if "nsamples" in shard else None for shard in shards]
        lengths = [int(shard["filesize"]) if "filesize" in shard else None for shard in shards]
        root = common_folder(urls, folder)
        names = listed_names([each.removeprefix(root.rstrip("/") + "/") for each in urls])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise TarnError(
            f"{url} is no shard list of wids ({error!r}): give a folder of tars, a pattern, or a list that holds "
            '{"shardlist": [{"url": ..., "nsamples": ...}]} of tars below one folder.'
        ) from error
    return ShardList(
        root,
        names,
        {name: length for name, length in zip(names, lengths, strict=True) if length is not None},
        Info(url, {}, {name: count for name, count in zip(names, counts, strict=True) if count is not None}),
    )


def whole(url: str, folder: str) -> str:
    """Of a tar, as storage takes it."""
    return url if "://" in url or url.startswith("/") else storage.join(folder, url)


def common_folder(urls: Sequence[str], folder: str) -> str:
    """The folder of the list where all lie below it, else the one that all of them share. Raises ValueError."""
    if all(url.startswith(folder.rstrip("/") + "/") for url in urls):
        return folder
    folders = [url.split("/")[:-1] for url in urls]
    shared = folders[0] if folders else []
    for parts in folders:
        same = next((at for at, (one, other) in enumerate(zip(shared, parts, strict=False)) if one != other), None)
        shared = shared[: min(len(shared), len(parts)) if same is None else same]
    root = "/".join(shared)
    if not root or root.endswith(":/") or root.endswith(":"):
        raise ValueError("its tars lie in several places")
    return root
