"""What lies where in the memory of a batch: labels, images, and the columns of fields that have one shape."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tarn.training.pixels.geometry import Size

if TYPE_CHECKING:  # what only samples of several members need is imported for those
    from tarn.training.streaming.fields.field import Column

RowColumns = tuple[Mapping[str, NDArray[Any]], int]  # columns by field, and a row of them

NOTHING: Mapping[str, Any] = {}
ALIGNED = 64  # bytes


def slot_layout(rows: int, size: Size, columns: "Mapping[str, Column]" = NOTHING) -> list[int]:
    """Bytes of labels, then of images, then of each column, in the memory of one batch."""
    told = [rows * size[0] * size[1] * 3, *(rows * column.bytes for column in columns.values())]
    return [-(-8 * rows // ALIGNED) * ALIGNED, *(-(-each // ALIGNED) * ALIGNED for each in told)]


def slot_arrays(
    memory: memoryview, rows: int, size: Size, columns: "Mapping[str, Column]" = NOTHING
) -> tuple[NDArray[np.uint8], NDArray[np.int64], dict[str, NDArray[Any]]]:
    """Images, labels and columns of a slot; all keep one array alive, their base."""
    head, body, *rest = slot_layout(rows, size, columns)
    whole = np.frombuffer(memory, np.uint8, head + body + sum(rest))
    images = whole[head : head + rows * size[0] * size[1] * 3].reshape(rows, *size, 3)
    found, at = dict[str, NDArray[Any]](), head + body
    for (name, column), length in zip(columns.items(), rest, strict=True):
        found[name] = whole[at : at + rows * column.bytes].view(column.dtype).reshape(rows, *column.shape)
        at += length
    return images, whole[: 8 * rows].view(np.int64), found
