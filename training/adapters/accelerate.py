"""Hugging Face Accelerate: batches that prepare() neither divides nor dispatches, and a state for save_state()."""

from collections.abc import Iterator, Mapping
from typing import Any

from accelerate import Accelerator
from accelerate.data_loader import DataLoaderShard

from tarn.training.adapters.numbered import EpochBatches, EpochNumbers, Form, as_it_is
from tarn.training.streaming.planned import PlannedLoader


class AcceleratedLoader(DataLoaderShard):  # type: ignore[misc]
    """Accelerate's own loader, on its device, telling its gradient accumulation where an epoch ends.

    form: what the loop gets of a batch. It may be given to prepare(), which leaves it as it is. To resume, either
    register_for_checkpointing() it, so that load_state() puts it behind the last batch that the loop got; or count
    batches, call set_epoch() in every epoch, and skip_first_batches(), which decodes nothing.
    """

    def __init__(self, accelerator: Accelerator, loader: PlannedLoader, form: Form = as_it_is) -> None:
        self.numbers = EpochNumbers(loader)
        batches = EpochBatches(loader, form)
        super().__init__(
            batches,
            device=accelerator.device if accelerator.device_placement else None,
            sampler=self.numbers,
            batch_size=None,
            collate_fn=as_it_is,
            _drop_last=True,  # else metrics of the last global batch would be cut as if it were filled up
            _non_blocking=accelerator.non_blocking,
        )
        self._is_accelerate_prepared = True

    def __iter__(self) -> Iterator[Any]:
        """Accelerate looks one batch ahead: what the loop got is counted here."""
        self.iteration = self.numbers.loader.epoch
        yield from self.numbers.counted(super().__iter__())

    def set_epoch(self, epoch: int) -> None:
        self.iteration = epoch
        self.numbers.set_epoch(epoch)

    def state_dict(self) -> dict[str, object]:
        return self.numbers.state_dict()

    def load_state_dict(self, state_dict: Mapping[str, object]) -> None:
        self.numbers.load_state_dict(state_dict)
