"""The memory of batches: slots of a file that processes share, lent out as arrays and taken back when those are gone.

Where a GPU copies from slots by itself (page-locked memory), a slot is free only when its copies are done, too.
"""

import mmap
import os
import weakref
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tarn.sharding.errors import TarnError
from tarn.training.pixels.geometry import Size
from tarn.training.streaming.processes.shared import mapped, page_aligned
from tarn.training.streaming.workers.layout import NOTHING, slot_arrays, slot_layout

if TYPE_CHECKING:
    from tarn.training.streaming.fields.field import Column

Question = Callable[[], bool]


class Registrar(Protocol):
    """Makes memory page-locked, and knows how far the device is."""

    def register(self, address: int, size: int) -> str:
        """Returns why it cannot be done; nothing where it is done."""

    def unregister(self, addresses: Sequence[int]) -> None:
        """When the device is done with all that it was told."""

    def mark(self) -> Question:
        """Whether the device is done with all that it was told so far."""


class Slots:
    """Of one loader, each for the labels, images and columns of a batch of so many rows, images of at most that height
    and width. bytes: of one slot.

    warnings: why memory is not page-locked, told once; it is plain memory then.
    """

    def __init__(
        self,
        file: int,
        rows: int,
        size: Size,
        registrar: Registrar | None = None,
        columns: "Mapping[str, Column]" = NOTHING,
    ) -> None:
        self.file, self.rows, self.size, self.registrar = file, rows, size, registrar
        self.columns = columns
        self.bytes = page_aligned(sum(slot_layout(rows, size, columns)))
        self.maps: list[mmap.mmap] = []
        self.free: deque[int] = deque()
        self.copied_from: deque[tuple[Question, int]] = deque()
        self.locked: dict[int, int] = {}  # addresses, by slot
        self.lockable, self.warnings = True, list[str]()
        if registrar is not None:
            weakref.finalize(self, unregister_all, registrar, self.locked).atexit = False

    def take(self) -> int:
        """Raises TarnError where there is no memory for another one."""
        self.reclaim()
        if self.free:
            return self.free.popleft()
        slot = len(self.maps)
        try:
            os.ftruncate(self.file, (slot + 1) * self.bytes)
            self.maps.append(mapped(self.file, self.bytes, slot * self.bytes))
        except OSError as error:
            raise TarnError(
                f"there is no memory for batch {slot + 1} of those made ahead ({self.bytes / 1e6:.0f} MB each; "
                f"{error.strerror}): lower data.prefetch, or the batch size."
            ) from error
        self.lock(slot)
        return slot

    def lock(self, slot: int) -> None:
        if self.registrar is None or not self.lockable:
            return
        address = np.frombuffer(self.maps[slot], np.uint8).ctypes.data
        reason = self.registrar.register(address, self.bytes)
        if reason:
            self.lockable = False
            self.warnings.append(f"batches are copied once more, for their memory cannot be page-locked ({reason}).")
        else:
            self.locked[slot] = address

    def lend(
        self, slot: int, size: Size | None = None, columns: "Mapping[str, Column] | None" = None
    ) -> tuple[NDArray[np.uint8], NDArray[np.int64], dict[str, NDArray[Any]]]:
        """Images, labels and columns, views of the slot; it is taken back when all are gone. size, columns: where they
        are smaller than the largest."""
        told = self.columns if columns is None else columns
        arrays = slot_arrays(memoryview(self.maps[slot]), self.rows, size or self.size, told)
        weakref.finalize(arrays[0].base, self.take_back, slot).atexit = False
        return arrays

    def take_back(self, slot: int) -> None:
        """Copies that the device was told to make from it may still be under way."""
        if slot in self.locked and self.registrar is not None:
            self.copied_from.append((self.registrar.mark(), slot))
        else:
            self.free.append(slot)

    def reclaim(self) -> None:
        """Slots whose copies are done are free."""
        for _ in range(len(self.copied_from)):
            is_done, slot = self.copied_from.popleft()
            if is_done():
                self.free.append(slot)
            else:
                self.copied_from.append((is_done, slot))


def unregister_all(registrar: Registrar, locked: dict[int, int]) -> None:
    if locked:
        registrar.unregister(list(locked.values()))
