"""The weights in a file of torch.export (.pt2), and what was put beside them; its graph is left alone.

torch.export.load() would run it, which evaluates the formulas of its shapes and may unpickle what it likes: for files
that one trusts. Format: PyTorch's documentation, "PT2 Archive Spec".
"""

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tarn.sharding.errors import TarnError
from tarn.training.plain.archive import Archive
from tarn.training.plain.rules import RefusedError
from tarn.training.plain.tensors import rebuilt_tensor, storage_of
from tarn.training.plain.torch_file import guarded

WEIGHTS = "data/weights/model_weights_config.json"
TYPES = {1: torch.uint8, 2: torch.int8, 3: torch.int16, 4: torch.int32, 5: torch.int64, 6: torch.float16}
TYPES |= {7: torch.float32, 8: torch.float64, 12: torch.bool, 13: torch.bfloat16}


def read_program(path: Path, beside: str) -> tuple[dict[str, Tensor], str | None]:
    """Tensors by name, and the text of the extra file. Raises TarnError for a file that is cut, lies, or wants code."""
    with Archive(path) as archive:
        return guarded(path, lambda: (weights_in(archive), text_in(archive, beside)))  # type: ignore[no-any-return]


def top_of(archive: Archive) -> str:
    found = [name.removesuffix("archive_format") for name in archive.names if name.endswith("/archive_format")]
    if len(found) != 1:
        raise TarnError(f"{archive.path} is no .pt2 of torch 2.8 or newer: export it again.")
    return found[0]


def text_in(archive: Archive, name: str) -> str | None:
    whole = f"{top_of(archive)}extra/{name}"
    return archive.read(whole).decode() if whole in archive.names else None


def weights_in(archive: Archive) -> dict[str, Tensor]:
    top, folder = top_of(archive), WEIGHTS.rpartition("/")[0]
    told: Any = json.loads(archive.read(top + WEIGHTS))["config"]
    storages: dict[tuple[str, int], Any] = {}
    found = {}
    for name, entry in told.items():
        if entry["use_pickle"]:
            raise RefusedError(f"it wants {name} to be unpickled, which no model needs")
        meta, file = entry["tensor_meta"], entry["path_name"]
        if meta["dtype"] not in TYPES:
            raise RefusedError(f"it has {name} of a type that is unknown ({meta['dtype']!r})")
        key = file, meta["dtype"]
        if key not in storages:
            storages[key] = storage_of(archive.read(f"{top}{folder}/{file}"), TYPES[meta["dtype"]])
        size, stride = ([number["as_int"] for number in meta[part]] for part in ("sizes", "strides"))
        found[name] = rebuilt_tensor(storages[key], meta["storage_offset"]["as_int"], size, stride)
    return found
