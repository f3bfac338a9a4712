"""An epoch at a time, from where a state stands: what the loaders have in common."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Self

import numpy as np

from tarn.sharding.errors import TarnError, UsageError
from tarn.training.streaming.batch import Batch


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
