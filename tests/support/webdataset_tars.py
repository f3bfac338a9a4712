"""Pictures of any source turned into WebDataset tars, as others pack them."""

import json
import random
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from support.downloads import add
from tarn.sharding.sources import Picture, Source
from tarn.sharding.sources.place import ending_of

Members = Sequence[tuple[str, bytes]]


def webdataset_tars(found: Source, folder: Path, of_each: int = 50, label: str = "cls") -> Path:
    """Shuffled, so many samples a tar. label: the ending of what tells it; a number in a cls, in a json beside the
    picture's key, or nothing."""
    for split, pictures in found.splits.items():
        shuffled = random.Random(1).sample(pictures, len(pictures))
        for start in range(0, len(shuffled), of_each):
            path = folder / f"x-{split}-{start // of_each:04d}.tar"
            write_tar(path, [it for each in shuffled[start : start + of_each] for it in members(each, label)])
    return folder


def members(picture: Picture, label: str = "cls") -> Members:
    told: Mapping[str, bytes] = {
        "cls": str(picture.label).encode(),
        "json": json.dumps({"label": picture.label, "id": picture.key}).encode(),
    }
    beside = [(f"{picture.key}.{label}", told[label])] if label else []
    return [(f"{picture.key}{ending_of(picture.place)}", picture.place.read()), *beside]


def write_tar(path: Path, content: Members) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as out:
        for name, data in content:
            add(out, name, data)
    return path
