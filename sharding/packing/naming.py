"""What a packing's files are called.

`train/train-000000.tar` the first time. A packing that replaces a split takes names that no earlier one of the dataset
had, `train/train-g1-000000.tar`, so that whoever reads the earlier one goes on reading exactly that.
"""

import re
from collections.abc import Iterable

from tarn.sharding import storage
from tarn.sharding.format.leftovers import files_of, left_manifests, manifest_of
from tarn.sharding.format.manifest import Manifest


def shard_name(split: str, infix: str, number: int) -> str:
    """Below the dataset's root."""
    return f"{split}/{split}{infix}-{number:06d}.tar"


def number_of(shard: str) -> int:
    """In the plan of its split."""
    return int(shard.removesuffix(".tar").rpartition("-")[2])


def free_infix(root: str, split: str, before: Manifest | None) -> str:
    """What stands behind the split's name in all names of its next packing. Raises TarnError."""
    used = set(files_of(before)).union(*(files_of(manifest_of(root, name)) for name in left_manifests(root)))
    if before is not None:
        used |= {f"{split}/{name}" for name in storage.names(storage.join(root, split), ".tar")}  # whosever
    return f"-g{latest + 1}" if (latest := generation(split, used)) is not None else ""


def generation(split: str, names: Iterable[str]) -> int | None:
    """The highest of the names; 0 of a first packing, None where there is none."""
    pattern = re.compile(rf"{re.escape(split)}/{re.escape(split)}(?:-g(\d+))?-\d{{6,}}\.\w+")
    return max((int(match[1] or 0) for name in names if (match := pattern.fullmatch(name))), default=None)
