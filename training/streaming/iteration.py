"""An epoch at a time, from where a state stands: what the loaders have in common."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor


@dataclass(frozen=True, slots=True)
class Batch:
    """images: B x H x W x 3 uint8; labels: B int64; keys: of the samples, where asked for.

    Tensors are on the CPU, or on the device that decoded the pictures (ShardLoader's decode).

    last: whether it ends its step, for a step may come in parts (micro_batch).
    """

    images: Tensor
    labels: Tensor
    step: int
    last: bool
    keys: tuple[str, ...] = ()

    def pin_memory(self) -> "Batch":
        """In page-locked memory, so that the copy to a GPU does not block; what lies in such memory is not copied."""
        return replace(self, images=self.images.pin_memory(), labels=self.labels.pin_memory())


class EpochIteration:
    """A loader has a plan (samples served in an epoch), a state (state.py), and batches(epoch, first_step)."""

    plan: Any
    state: Any

    def batches(self, epoch: int, first_step: int = 0) -> Iterator[Batch]:
        """From a step to the epoch's end; the state is left alone."""
        raise NotImplementedError

    @property
    def epoch(self) -> int:
        """The epoch that iterating goes on with."""
        return int(self.state.epoch)

    def set_epoch(self, epoch: int) -> None:
        """The epoch to iterate next; where it is the present one, the place in it is kept."""
        if epoch != self.state.epoch:
            self.state = replace(self.state, epoch=epoch, samples=0)

    def state_dict(self) -> dict[str, object]:
        """Where the stream stands: what iterating gave so far counts as consumed."""
        return dict(self.state.to_dict())

    def load_state_dict(self, told: Mapping[str, object]) -> None:
        """Raises TarnError, naming both values, where the state is another stream's."""
        self.state = self.state.restored(dict(told))

    def __iter__(self) -> Iterator[Batch]:
        """From where the state stands to the end of its epoch; the state then stands at the next one's beginning."""
        state = self.state
        # rounded up: behind an epoch's last, smaller batch there is none
        for batch in self.batches(state.epoch, -(-state.samples // state.global_batch)):
            if batch.last:
                consumed = min(self.plan.samples, (batch.step + 1) * state.global_batch)
                self.state = replace(state, samples=consumed)
            yield batch
        self.state = state.next_epoch()
