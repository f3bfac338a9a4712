"""The batch of samples with fields: what lies in memory as tensors, the rest in lists."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tarn.sharding.errors import TarnError
from tarn.training.streaming.batch import Batch
from tarn.training.streaming.fields.content import Content
from tarn.training.streaming.import_paths import imported, shown
from tarn.training.streaming.workers.hooks import seeded
from tarn.training.streaming.workers.pool import Lent


def with_fields(batch: Batch, content: Content, lent: Lent, pad_to: int | None) -> Batch:
    """pad_to: whole pictures in one tensor, its sides multiples of it, None for a list of them."""
    made, found = lent.made, dict[str, Any]()
    for name, _ in content.fields or ():
        if name in lent.columns:
            found[name] = torch.from_numpy(lent.columns[name])
        else:
            found[name] = [as_tensors(value) for value in made.values.get(name, ())]
    images: Any = batch.images
    if content.whole:
        sizes = made.values.get("sizes", ())
        flat = images.flatten(1)
        images = [flat[row, : 3 * h * w].reshape(h, w, 3) for row, (h, w) in enumerate(sizes)]
        found["sizes"] = torch.tensor(sizes, dtype=torch.int64).reshape(-1, 2)
        if pad_to is not None:
            images = padded(images, pad_to, (3,), "uint8")
            for name, each in content.of_pixels().items():
                found[name] = padded(found[name], pad_to, each.shape[2:], each.dtype)
    labels: Any = found.get("labels")
    return replace(batch, images=images, labels=labels, fields=found)


def as_tensors(value: Any) -> Any:
    """Arrays, and those of an npz, as tensors; all else as it is."""
    if isinstance(value, np.ndarray):
        return torch.from_numpy(value)
    if isinstance(value, Mapping):
        return {name: as_tensors(each) for name, each in value.items()}
    return value


def padded(pictures: Sequence[Tensor], multiple: int, rest: tuple[int, ...], dtype: str) -> Tensor:
    """One tensor, zeros behind each picture's rows and columns. rest: their shape behind height and width."""
    sides = (max((picture.shape[axis] for picture in pictures), default=0) for axis in (0, 1))
    height, width = (-(-side // multiple) * multiple for side in sides)
    out = torch.from_numpy(np.zeros((len(pictures), height, width, *rest), dtype))
    for row, picture in enumerate(pictures):
        out[row, : picture.shape[0], : picture.shape[1]] = picture
    return out


class BatchHook:
    """Called with a batch and a NumPy generator; gives a batch, such as `dataclasses.replace` makes of it."""

    def __init__(self, path: str) -> None:
        self.path, self.call = path, imported(path, "batch_hook")

    def __call__(self, batch: Batch, key: int) -> Batch:
        """Raises TarnError."""
        with seeded(key, alone=False):
            try:
                given = self.call(batch, np.random.Generator(np.random.Philox(key=key)))
            except Exception as error:  # whatever somebody's function raises
                told = shown(error, self.path)
                raise TarnError(f"step {batch.step}: batch_hook {self.path} raised {told}.") from error
        if not isinstance(given, Batch):
            kind = type(given).__name__
            raise TarnError(f"step {batch.step}: batch_hook {self.path} returned a {kind}, expected a Batch.")
        return replace(given, step=batch.step, last=batch.last)
