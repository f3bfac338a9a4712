"""An epoch at a time, from where a state stands: what the loaders have in common."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from tarn.sharding.errors import TarnError, UsageError


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


class EpochIteration:
    """A loader has a plan (samples served in an epoch), a state (state.py), and batches(epoch, first_step).

    Where iterating begins:

    - `for batch in loader` gives an epoch. It begins at the epoch's beginning; where a state was loaded, behind the
      batch that the state tells, and so it does until that epoch is done or another one is set.
    - With an epoch's last batch the next epoch is due, whether the iterator was asked for more or not: taking exactly
      len(loader) batches (zip, islice, next() in a loop) is a whole epoch.
    - Left before its end, an epoch begins again the next time. To go on in it, load the state.
    - A state that is loaded within an iteration counts for the next one: this one may only be left (TarnError).
    - In evaluation every iteration begins at the beginning, whatever was loaded.
    - The state tells what was given out so far; saved behind the last batch it is the next epoch's beginning.
    - An epoch that is set while an iteration is under way is that of the next one: what the old one still gives counts
      no more.
    """

    plan: Any
    state: Any
    resumed: Any = None  # the loaded state, as long as its epoch lasts

    def batches(self, epoch: int, first_step: int = 0) -> Iterator[Batch]:
        """From a step to the epoch's end; the state is left alone."""
        raise NotImplementedError

    @property
    def epoch(self) -> int:
        """The epoch that iterating begins, or goes on with."""
        return int(self.state.epoch)

    def set_epoch(self, epoch: int) -> None:
        """The epoch to iterate next; a place in it that was loaded is kept. Raises UsageError for what is no number."""
        if not isinstance(epoch, int | np.integer) or epoch < 0:
            raise UsageError(f"set_epoch({epoch!r}): an epoch is a whole number of at least 0.")
        if epoch != self.state.epoch:
            self.state, self.resumed = replace(self.state, epoch=int(epoch), samples=0), None

    def state_dict(self) -> dict[str, object]:
        """Where the stream stands: what iterating gave so far counts as consumed."""
        return dict(self.state.to_dict())

    def load_state_dict(self, told: Mapping[str, object]) -> None:
        """Raises TarnError, naming both values, where the state is another stream's; UsageError for what is none."""
        if not isinstance(told, Mapping) or not {"epoch", "samples", "format"} <= set(told):
            raise UsageError(
                f"{shortened(told)} is no state of a stream: give load_state_dict() what state_dict() of a loader gave."
            )
        state = self.state.restored(dict(told))
        done = self.step_behind(state) >= self.plan.steps
        self.state = self.resumed = state.next_epoch() if done else state

    def __iter__(self) -> Iterator[Batch]:
        """An epoch, or what a loaded state left of it."""
        loaded = self.resumed if self.plan.train else None
        self.state = start = own = replace(self.state, samples=0) if loaded is None else loaded
        for batch in self.batches(start.epoch, self.step_behind(start)):
            if self.plan.train and self.resumed is not None and self.resumed is not loaded:
                raise TarnError(
                    "a state was loaded in the middle of this iteration, which would go on as if it was not: leave the "
                    "loop, and begin another one (for batch in loader) behind load_state_dict()."
                )
            if batch.last and self.state is own:
                is_end = batch.step == self.plan.steps - 1
                own = start.next_epoch() if is_end else replace(start, samples=(batch.step + 1) * start.global_batch)
                self.state, self.resumed = own, None if is_end else self.resumed
            yield batch

    def step_behind(self, state: Any) -> int:
        """The first step that is yet to come; a last, smaller global batch counts as a whole one."""
        return -(-int(state.samples) // int(state.global_batch))

    def close(self) -> None:
        """Ends the processes, as leaving `with ShardLoader(...) as loader:` does."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __getitem__(self, number: object) -> Any:
        """Raises TypeError: whoever asks so, such as a DataLoader around a loader, wants another face of it."""
        raise TypeError(
            f"a {type(self).__name__} has no batch or sample by number, it gives whole batches in its order: loop over "
            "it, or give ShardDataLoader(loader) of tarn.training.adapters.dataloader to what wants a DataLoader, and "
            "ShardTrainer of tarn.training.adapters.transformers in place of Trainer."
        )

    def __reduce_ex__(self, protocol: object) -> Any:
        """Raises TypeError: processes and shared memory can be neither pickled nor copied."""
        raise TypeError(
            f"a {type(self).__name__} cannot be pickled or copied, for its processes are its own: make another one of "
            "the same settings where it is needed, and load this one's state_dict() into it."
        )


def shortened(told: object) -> str:
    """For an error: what it is, in few words."""
    if isinstance(told, Mapping):
        return f"a mapping of {', '.join(map(str, list(told)[:8])) or 'nothing'}"
    return f"a {type(told).__name__}"
