"""An epoch's batches by number, for trainers that skip by numbers what was trained: what is skipped is not decoded."""

from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any

from torch.utils.data import BatchSampler, Dataset

from tarn.training.streaming.batch import Batch
from tarn.training.streaming.planned import PlannedLoader

Form = Callable[[Batch], Any]  # what a trainer gets of a batch


def as_it_is(batch: Any) -> Any:
    return batch


class EpochBatches(Dataset[Any]):
    """A loader's batches by epoch and number in it; asked for one behind the other, they are made ahead."""

    def __init__(self, loader: PlannedLoader, form: Form = as_it_is) -> None:
        self.loader, self.form = loader, form
        self.due: tuple[int, int] | None = None
        self.ahead: Iterator[Batch] = iter(())

    def __len__(self) -> int:
        """Samples that an epoch serves, over all ranks: trainers tell people of them."""
        return self.loader.plan.samples

    def __getitem__(self, places: list[tuple[int, int]]) -> Any:
        [(epoch, number)] = places
        if self.due != (epoch, number):
            step, part = divmod(number, self.loader.parts(0))
            self.ahead = islice(self.loader.batches(epoch, step), part, None)
        self.due = epoch, number + 1
        return self.form(next(self.ahead))

    __getitems__ = __getitem__  # what a DataLoader with a batch sampler asks


class EpochNumbers(BatchSampler):
    """Lists of one place each, of the batches yet to come, and how many of them were used. run: changes with each
    iteration, and where another place is told: what an older iteration uses counts no more."""

    def __init__(self, loader: PlannedLoader) -> None:
        self.loader, self.first, self.used, self.run = loader, 0, 0, 0
        self.batch_size, self.drop_last = loader.plan.global_batch, True

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:  # type: ignore[override]
        epoch = self.loader.epoch
        self.used, self.first, self.run = self.first, 0, self.run + 1
        return ([(epoch, number)] for number in range(self.used, len(self)))

    def set_epoch(self, epoch: int) -> None:
        if epoch != self.loader.epoch:
            self.loader.set_epoch(epoch)
            self.first, self.used, self.run = 0, 0, self.run + 1

    def counted(self, batches: Iterator[Any]) -> Iterator[Any]:
        """As somebody uses them. With an epoch's last batch the next epoch is due."""
        run = None
        for batch in batches:
            run = self.run if run is None else run
            self.used += run == self.run
            if run == self.run and self.used == len(self):
                self.set_epoch(self.loader.epoch + 1)
            yield batch

    def state_dict(self) -> dict[str, object]:
        plan = self.loader.plan
        return {**self.loader.state_dict(), "samples": self.used // self.loader.parts(0) * plan.global_batch}

    def load_state_dict(self, told: Mapping[str, object]) -> None:
        self.loader.load_state_dict(told)
        self.run += 1
        self.first = self.used = self.loader.step_behind(self.loader.state) * self.loader.parts(0)
