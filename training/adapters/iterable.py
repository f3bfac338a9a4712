"""A loader as an IterableDataset with a state: for torch's DataLoader, torchdata's StatefulDataLoader, Lightning."""

from collections.abc import Iterator, Mapping
from typing import Any

from torch.utils.data import IterableDataset

from tarn.training.adapters.numbered import Form, as_it_is
from tarn.training.streaming.iteration import EpochIteration


class ShardDataset(IterableDataset[Any]):
    """Whole batches, as they come: give it to a DataLoader with batch_size=None and no workers, for it has its own.

    form: what the trainer gets of a batch. Iterating, epochs and state are those of the loader.
    """

    batch_sampler = None  # Lightning looks for one behind a sampler

    def __init__(self, loader: EpochIteration, form: Form = as_it_is) -> None:
        self.loader, self.form = loader, form
        self.stays = False  # for trainers that show a few batches over and over

    def __iter__(self) -> Iterator[Any]:
        return map(self.form, self.loader)

    def __len__(self) -> int:
        return len(self.loader)  # type: ignore[arg-type]

    @property
    def sampler(self) -> "ShardDataset":
        """What Lightning tells the epoch."""
        return self

    def set_epoch(self, epoch: int) -> None:
        self.loader.set_epoch(0 if self.stays else epoch)

    def state_dict(self) -> dict[str, object]:
        return self.loader.state_dict()

    def load_state_dict(self, told: Mapping[str, object]) -> None:
        self.loader.load_state_dict(told)
