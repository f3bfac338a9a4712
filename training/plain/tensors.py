"""Numbers in a file, and the tensors that are said to lie in them: what is claimed is checked against what is there."""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from tarn.training.plain.rules import Name, RefusedError, shown

MOST_DIMENSIONS = 16
MOST = 2**63 - 1  # of a size, a stride, an offset: as PyTorch stores them
TYPES = {
    "torch.FloatStorage": torch.float32,
    "torch.DoubleStorage": torch.float64,
    "torch.HalfStorage": torch.float16,
    "torch.BFloat16Storage": torch.bfloat16,
    "torch.LongStorage": torch.int64,
    "torch.IntStorage": torch.int32,
    "torch.ShortStorage": torch.int16,
    "torch.CharStorage": torch.int8,
    "torch.ByteStorage": torch.uint8,
    "torch.BoolStorage": torch.bool,
}


@dataclass(frozen=True, slots=True)
class Storage:
    """One dimension of numbers."""

    numbers: Tensor


def told_storage(told: Any) -> tuple[torch.dtype, str, int]:
    """Type, key and how many, of ("storage", type, key, device, number[, view])."""
    if not isinstance(told, tuple) or len(told) not in (5, 6) or told[0] != "storage" or (told[5:] or (None,))[0]:
        raise RefusedError("it asks for something outside of it that is no storage of numbers")
    _, kind, key, _, count = told[:5]
    if not isinstance(kind, Name) or kind.name not in TYPES:
        raise RefusedError(f"it has a storage of {kind.name if isinstance(kind, Name) else shown(kind)}")
    if not isinstance(key, str) or not key.isalnum() or not is_size(count):
        raise RefusedError(f"it has a storage {shown(key)} of {shown(count)} numbers")
    return TYPES[kind.name], key, count


def storage_of(data: bytes | memoryview, dtype: torch.dtype, count: int | None = None) -> Storage:
    """Raises RefusedError where the bytes are not as many as claimed."""
    each = dtype.itemsize
    if len(data) % each or (count is not None and len(data) != count * each):
        raise RefusedError(f"it claims a storage of {count:,} numbers of {each} bytes where {len(data):,} bytes lie")
    return Storage(torch.frombuffer(bytearray(data), dtype=dtype) if len(data) else torch.empty(0, dtype=dtype))


def rebuilt_tensor(storage: Any, offset: Any, size: Any, stride: Any, *rest: Any) -> Tensor:
    """A tensor on the CPU that shares the storage's memory. Raises RefusedError for one that reaches beyond it, or has
    more numbers than it."""
    if not isinstance(storage, Storage):
        raise RefusedError("it makes a tensor of something that is no storage")
    for told in (size, stride):
        if not isinstance(told, tuple | list) or not all(map(is_size, told)):
            raise RefusedError(f"it has a tensor of size {shown(size)} and strides {shown(stride)}")
    if not is_size(offset) or len(size) != len(stride) or len(size) > MOST_DIMENSIONS:
        raise RefusedError(f"it has a tensor of size {shown(size)} and strides {shown(stride)} at {shown(offset)}")
    there, count = len(storage.numbers), math.prod(size)
    last = offset + sum((number - 1) * step for number, step in zip(size, stride, strict=True)) if count else offset
    if count > there or (count and last >= there) or offset > there:
        raise RefusedError(
            f"it has a tensor of {' x '.join(map(str, size)) or 1} numbers that reaches to {last:,} of {there:,}"
        )
    return storage.numbers.as_strided(tuple(size), tuple(stride), offset)


def is_size(told: Any) -> bool:
    return type(told) is int and 0 <= told <= MOST


def rebuilt_parameter(data: Any, *rest: Any) -> Tensor:
    if not isinstance(data, Tensor):
        raise RefusedError("it makes a parameter of something that is no tensor")
    return data
