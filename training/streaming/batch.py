"""What a loader gives at a time."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True, repr=False)
class Batch:
    """images: B x H x W x 3 uint8; labels: B int64; keys: of the samples, where asked for.

    Tensors are on the CPU, or on the device that decoded the pictures (ShardLoader's decode).

    last: whether it ends its step, for a step may come in parts (micro_batch). fields: where a loader was given some,
    by name and in their order; labels is the one of that name then, or None. Whole pictures are a list of h x w x 3,
    or padded, and `sizes` (B x 2 int64, height and width) is a field more.

    `images, labels = batch` and `images, *fields = batch` work, as do batch["masks"] and batch.masks.
    """

    images: Tensor
    labels: Tensor
    step: int
    last: bool
    keys: tuple[str, ...] = ()
    fields: Mapping[str, Any] | None = None

    @property
    def values(self) -> dict[str, Any]:
        """All that it holds of samples, by name: images first."""
        return {"images": self.images, **(self.fields if self.fields is not None else {"labels": self.labels})}

    def __iter__(self) -> Iterator[Any]:
        return iter(self.values.values())

    def __getitem__(self, name: str) -> Any:
        return self.values[name]

    def __getattr__(self, name: str) -> Any:
        """Of a field, by its name."""
        if name.startswith("_") or name in self.__slots__:  # also while it is being made
            raise AttributeError(name)
        if self.fields is not None and name in self.fields:
            return self.fields[name]
        raise AttributeError(
            f"a batch has no {name!r}, it has {', '.join(self.values)}: name it in the loader's fields."
        )

    def __repr__(self) -> str:
        """Shapes and types: the numbers of a batch fill screens."""
        return f"Batch({', '.join(f'{name}: {in_words(value)}' for name, value in self.values.items())})"

    def to(self, device: torch.device | str | int, non_blocking: bool = False) -> "Batch":
        """On a device; Lightning and Accelerate move batches by this name."""
        return self.changed(partial(torch.Tensor.to, device=device, non_blocking=non_blocking))

    def pin_memory(self) -> "Batch":
        """In page-locked memory, so that the copy to a GPU does not block; what lies in such memory is not copied."""
        return self.changed(torch.Tensor.pin_memory)

    def changed(self, change: Callable[[Tensor], Tensor]) -> "Batch":
        """With every tensor changed."""
        if self.fields is None:
            return replace(self, images=change(self.images), labels=change(self.labels))
        fields = {name: each_tensor(value, change) for name, value in self.fields.items()}
        labels: Any = fields.get("labels")
        return replace(self, images=each_tensor(self.images, change), labels=labels, fields=fields)


def each_tensor(value: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """A tensor, or those of lists and mappings, changed; all else as it is."""
    if isinstance(value, Tensor):
        return change(value)
    if isinstance(value, list):
        return [each_tensor(each, change) for each in value]
    if isinstance(value, dict):
        return {name: each_tensor(each, change) for name, each in value.items()}
    return value


def in_words(value: Any) -> str:
    """A field of a batch, without what is in it."""
    if isinstance(value, Tensor):
        told = f"{str(value.dtype).removeprefix('torch.')} {' x '.join(map(str, value.shape)) or 'number'}"
        return told if value.device.type == "cpu" else f"{told} on {value.device}"
    if isinstance(value, list):
        return f"list of {len(value)}{f', first {in_words(value[0])}' if value else ''}"
    return type(value).__name__
