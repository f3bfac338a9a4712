"""A torch.utils.data.DataLoader, for trainers that insist on one."""

from collections.abc import Mapping
from typing import Any

from torch.utils.data import DataLoader

from tarn.training.adapters.numbered import EpochBatches, EpochNumbers, Form, as_it_is
from tarn.training.streaming.planned import PlannedLoader


class ShardDataLoader(DataLoader[Any]):
    """One rank's batches of a ShardLoader, as iterating it gives them: its epochs, its state.

    form: what the trainer gets of a batch. Accelerate's prepare() leaves it as it is, and its skip_first_batches()
    begins where it says, at once. Raises what the loader raises.
    """

    _is_accelerate_prepared = True  # else every rank's batches would be divided among the ranks once more

    def __init__(self, loader: PlannedLoader, form: Form = as_it_is) -> None:
        self.numbers = EpochNumbers(loader)
        super().__init__(EpochBatches(loader, form), None, sampler=self.numbers, collate_fn=as_it_is)

    def __iter__(self) -> Any:
        return self.numbers.counted(super().__iter__())

    def set_epoch(self, epoch: int) -> None:
        self.numbers.set_epoch(epoch)

    def state_dict(self) -> dict[str, object]:
        return self.numbers.state_dict()

    def load_state_dict(self, told: Mapping[str, object]) -> None:
        self.numbers.load_state_dict(told)
