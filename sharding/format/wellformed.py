"""Whether a manifest's JSON is one that Tarn wrote: it may come from anywhere, and what it names is read, written anew
by `repair`, and removed when it is replaced."""

from collections.abc import Iterator, Mapping
from typing import Any

TEXTS, COUNTS = ("name", "sha256", "index_sha256"), ("samples", "bytes")  # of a shard
GROUPS = ("skipped", "selection", "table", "reading", "content", "left_untiled", "made_baseline", "normalised")


def malformed(told: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with it, in a few words each. told: the JSON's object, of the right format and version. Raises
    KeyError, TypeError and AttributeError for what is not even built like one."""
    for info in told["classes"]:
        if not all(isinstance(info[name], str) for name in ("wnid", "name")):
            yield f"the class {info!r}"
    for name, split in told["splits"].items():
        if not is_name(name) or "/" in name:
            yield f"the split {name!r}"
        yield from (f"the shard {shard.get('name')!r}" for shard in split["shards"] if not is_shard(shard))
        packed = split["packed"]
        if not isinstance(packed, dict) or not all(isinstance(packed.get(group, {}), dict) for group in GROUPS):
            yield f"how {name!r} was packed"
        elif (skipped := packed.get("skipped", {})) and not (
            is_count(skipped["pictures"]) and is_name(skipped["report"]) and isinstance(skipped.get("sha256"), str)
        ):
            yield f"what {name!r} skipped"


def is_shard(shard: Mapping[str, Any]) -> bool:
    names = [shard["name"], *filter(None, [shard.get("index")])]
    return (
        all(isinstance(shard[word], str) for word in TEXTS)
        and all(is_count(shard[word]) for word in COUNTS)
        and all(map(is_name, names))
    )


def is_name(name: object) -> bool:
    """Of a file below the dataset, which leads nowhere else."""
    return isinstance(name, str) and "\0" not in name and not {"", ".", ".."} & set(name.split("/"))


def is_count(value: object) -> bool:
    return type(value) is int and 0 <= value < 2**63
