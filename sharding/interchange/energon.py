"""What Megatron Energon needs to read a WebDataset: `<tar>.idx` beside each tar, and the folder .nv-meta.

An index is a list of unsigned 64-bit numbers, little endian: where each sample begins in the tar, its first header, and
where the last one ends.
"""

import json
from collections.abc import Iterable, Sequence

import numpy as np
import yaml

from tarn.sharding.format.manifest import Manifest
from tarn.sharding.looking.members import Part

META = ".nv-meta"


def energon_name(tar: str) -> str:
    """Beside the tar, for Energon looks there."""
    return f"{tar}.idx"


def energon_index(samples: Sequence[tuple[str, list[Part]]]) -> bytes:
    starts = [parts[0].header for _, parts in samples]
    return np.array([*starts, samples[-1][1][-1].end], "<u8").tobytes()


def energon_meta(manifest: Manifest, endings: Iterable[str]) -> dict[str, bytes]:
    """Files of .nv-meta, by name below the dataset. endings: of its pictures, such as jpg."""
    splits = {name: [shard.name for shard in split.shards] for name, split in manifest.splits.items()}
    counts = {shard.name: shard.samples for split in manifest.splits.values() for shard in split.shards}
    dataset = {
        "sample_type": {"__module__": "megatron.energon", "__class__": "ImageClassificationSample"},
        "field_map": {"image": ";".join(sorted(endings)), "label": "cls"},
    }
    return {
        f"{META}/.info.json": (json.dumps({"shard_counts": counts}, indent=1) + "\n").encode(),
        f"{META}/split.yaml": yaml.safe_dump({"split_parts": splits, "exclude": []}, sort_keys=False).encode(),
        f"{META}/dataset.yaml": yaml.safe_dump(dataset, sort_keys=False).encode(),
    }
