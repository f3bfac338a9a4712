"""An epoch's batches by number, for trainers that skip by numbers what was trained: what is skipped is not decoded."""

from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any

from torch.utils.data import BatchSampler, Dataset

from tarn.training.streaming.iteration import Batch
from tarn.training.streaming.planned import PlannedLoader

Form = Callable[[Batch], Any]  # what a trainer gets of a batch


def as_it_is(batch: Any) -> Any:
    return batch


class EpochBatches(Dataset[Any]):
    """A loader's batches by their number in the loader's epoch; asked for one behind the other, they are made ahead."""

    def __init__(self, loader: PlannedLoader, form: Form = as_it_is) -> None:
        self.loader, self.form = loader, form
        self.due: tuple[int, int] | None = None
        self.ahead: Iterator[Batch] = iter(())

    def __len__(self) -> int:
        """Samples that an epoch serves, over all ranks: trainers tell people of them."""
        return self.loader.plan.samples

    def __getitem__(self, numbers: list[int]) -> Any:
        [number] = numbers
        epoch = self.loader.epoch
        if self.due != (epoch, number):
            step, part = divmod(number, self.loader.parts(0))
            self.ahead = islice(self.loader.batches(epoch, step), part, None)
        self.due = epoch, number + 1
        return self.form(next(self.ahead))

    __getitems__ = __getitem__  # what a DataLoader with a batch sampler asks


class EpochNumbers(BatchSampler):
    """Lists of one number each, of the batches yet to come, and how many of them were used."""

    def __init__(self, loader: PlannedLoader) -> None:
        self.loader, self.first, self.used = loader, 0, 0
        self.batch_size, self.drop_last = loader.plan.global_batch, True

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Iterator[list[int]]:
        self.used, self.first = self.first, 0
        return ([number] for number in range(self.used, len(self)))

    def set_epoch(self, epoch: int) -> None:
        if epoch != self.loader.epoch:
            self.loader.set_epoch(epoch)
            self.first = self.used = 0

    def use(self) -> None:
        """With an epoch's last batch the next epoch is due."""
        self.used += 1
        if self.used == len(self):
            self.set_epoch(self.loader.epoch + 1)

    def state_dict(self) -> dict[str, object]:
        plan = self.loader.plan
        return {**self.loader.state_dict(), "samples": self.used // self.loader.parts(0) * plan.global_batch}

    def load_state_dict(self, told: Mapping[str, object]) -> None:
        self.loader.load_state_dict(told)
        self.first = self.used = self.loader.step_behind(self.loader.state) * self.loader.parts(0)
