"""PyTorch Lightning: trainer.fit(model, datamodule, ckpt_path="last") goes on behind the last trained batch."""

from collections.abc import Callable, Mapping
from functools import partialmethod
from typing import Any

from lightning import LightningDataModule

from tarn.sharding.errors import UsageError
from tarn.training.adapters.iterable import ShardDataset
from tarn.training.adapters.numbered import Form, as_it_is
from tarn.training.streaming.planned import PlannedLoader

Make = Callable[[], PlannedLoader] | None


class ShardDataModule(LightningDataModule):  # type: ignore[misc]
    """Loaders are made when Lightning asks for them, for then each process knows its rank; all stages but training are
    to be made with train=False.

    form: what the module's steps get of a batch. Lightning counts the epochs: limit_train_batches ends one early, and
    reload_dataloaders_every_n_epochs gives the same loader. A state of another stream is a TarnError that names both;
    UsageError for what makes no loader, and for a stage that has none.
    """

    def __init__(
        self, train: Make = None, val: Make = None, test: Make = None, predict: Make = None, form: Form = as_it_is
    ) -> None:
        super().__init__()
        for stage, make in {"train": train, "val": val, "test": test, "predict": predict}.items():
            if make is not None and not callable(make):
                raise UsageError(
                    f"ShardDataModule({stage}=...) got a {type(make).__name__}: give a function that makes the loader, "
                    f"{stage}=lambda: ShardLoader(...), for only when Lightning asks does a process know its rank."
                )
        self.makers, self.form = {"train": train, "val": val, "test": test, "predict": predict}, form
        self.made: dict[str, ShardDataset] = {}
        self.place: Mapping[str, Any] | None = None  # of the training, while there is no loader

    def dataset(self, stage: str) -> Any:
        make = self.makers[stage]
        if make is None and stage != "val":
            raise UsageError(f"the ShardDataModule has no {stage}: give it {stage}=lambda: ShardLoader(...).")
        if make is None:
            return []  # training without a validation
        if stage not in self.made:
            self.made[stage] = ShardDataset(make(), self.form)
            self.made[stage].stays = getattr(self.trainer, "overfit_batches", 0) > 0
            if stage == "train" and self.place is not None:
                self.made[stage].load_state_dict(self.place)
        return self.made[stage]

    train_dataloader = partialmethod(dataset, "train")
    val_dataloader = partialmethod(dataset, "val")
    test_dataloader = partialmethod(dataset, "test")
    predict_dataloader = partialmethod(dataset, "predict")

    def state_dict(self) -> dict[str, Any]:
        return dict(self.made["train"].state_dict() if "train" in self.made else self.place or {})

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.place = state_dict or None
        if self.place and "train" in self.made:
            self.made["train"].load_state_dict(self.place)

    def teardown(self, stage: str) -> None:
        """Ends the loaders' processes; the place stays known."""
        self.place = self.state_dict() or None
        for dataset in self.made.values():
            dataset.loader.close()
        self.made.clear()
