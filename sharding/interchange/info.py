"""_info.json as published WebDatasets have it beside their tars, and timm's reader asks for."""

import json
from typing import Any

from tarn.sharding.foreign.info import NAME as INFO
from tarn.sharding.format.manifest import Manifest

__all__ = ["INFO", "info_json"]


def info_json(manifest: Manifest) -> bytes:
    """Splits with names and lengths of their tars, and the classes in order."""
    splits: dict[str, Any] = {}
    for name, split in manifest.splits.items():
        splits[name] = {
            "name": name,
            "filenames": [shard.name for shard in split.shards],
            "shard_lengths": [shard.samples for shard in split.shards],
            "num_samples": split.samples,
            "num_bytes": split.bytes,
        }
    told = {
        "splits": splits,
        "num_samples": sum(split.samples for split in manifest.splits.values()),
        "num_classes": len(manifest.classes),
        "class_names": [info.wnid for info in manifest.classes],
        "class_descriptions": {info.wnid: info.name for info in manifest.classes},
    }
    return (json.dumps(told, indent=1, ensure_ascii=False) + "\n").encode()
