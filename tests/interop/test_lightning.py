"""ShardLoader as Lightning's Trainer takes loaders: sanity check, epochs, validation, transfer to the device."""

import importlib.util
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from support.loaders import shard_loader
from tarn.sharding.errors import UsageError
from tarn.training.streaming import Batch, ShardLoader

pytestmark = [
    pytest.mark.skipif(importlib.util.find_spec("lightning") is None, reason="the extra interop is not installed"),
    pytest.mark.filterwarnings("ignore"),  # Lightning's own, of its own uses of torch
]


def loader(shards: Path, **more: Any) -> ShardLoader:
    settings = {"global_batch": 16, "image_size": 16, "lanes": 4, "active_shards": 4, "keys": True, "num_workers": 1}
    return shard_loader(str(shards), **{**settings, **more})


def model_and_trainer(folder: Path, **settings: Any) -> tuple[Any, Any]:
    """A model that keeps the keys of what it trained and validated."""
    import lightning

    class Model(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(3, 10)
            self.trained: dict[int, list[tuple[str, ...]]] = {}
            self.validated: list[list[str]] = []

        def scores(self, batch: Batch) -> torch.Tensor:
            assert isinstance(batch, Batch)
            assert batch.images.device == batch.labels.device == self.device
            return self.layer(batch.images.float().mean((1, 2)) / 255)  # type: ignore[no-any-return]

        def training_step(self, batch: Batch, step: int) -> torch.Tensor:
            self.trained.setdefault(self.current_epoch, []).append(batch.keys)
            return torch.nn.functional.cross_entropy(self.scores(batch), batch.labels)

        def on_validation_epoch_start(self) -> None:
            self.validated.append([])

        def validation_step(self, batch: Batch, step: int) -> None:
            self.scores(batch)
            self.validated[-1] += batch.keys

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.SGD(self.parameters(), 0.1)

    trainer = lightning.Trainer(
        accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False,
        default_root_dir=folder, **settings,
    )  # fmt: skip
    return Model(), trainer


def test_lightning_trains_whole_epochs_and_validates_every_picture_each_time(shards: Path, tmp_path: Path) -> None:
    train, val = loader(shards), loader(shards, split="val", train=False)
    model, trainer = model_and_trainer(tmp_path, max_epochs=3, num_sanity_val_steps=2, enable_checkpointing=False)
    trainer.fit(model, train, val)
    alone = loader(shards)
    for epoch in range(3):
        assert model.trained[epoch] == [batch.keys for batch in alone]
    checked, *whole = model.validated
    assert len(checked) == 32  # the sanity check looks at two batches
    assert [len(set(keys)) for keys in whole] == [len(keys) for keys in whole] == [40] * 3
    for each in (train, val, alone):
        each.close()


def test_lightnings_epochs_are_the_streams_where_it_ends_them_early(shards: Path, tmp_path: Path) -> None:
    from tarn.training.adapters.lightning import ShardDataModule

    alone = loader(shards)
    expected = {epoch: [batch.keys for batch in alone][:4] for epoch in range(3)}
    data = ShardDataModule(partial(loader, shards))
    settings = {"limit_train_batches": 4, "enable_checkpointing": False}
    model, trainer = model_and_trainer(tmp_path, max_epochs=3, reload_dataloaders_every_n_epochs=2, **settings)
    trainer.fit(model, data)
    assert model.trained == expected


def test_lightning_overfits_on_the_same_batches_in_every_epoch(shards: Path, tmp_path: Path) -> None:
    from tarn.training.adapters.lightning import ShardDataModule

    data = ShardDataModule(partial(loader, shards))
    model, trainer = model_and_trainer(tmp_path, max_epochs=3, overfit_batches=2, enable_checkpointing=False)
    trainer.fit(model, data)
    first = [batch.keys for batch in loader(shards)][:2]
    assert model.trained == dict.fromkeys(range(3), first)


@pytest.mark.parametrize("stop", [4, 7, 9])  # in an epoch, at its end, in the next one; of 7 batches
def test_lightning_goes_on_from_any_checkpoint(shards: Path, tmp_path: Path, stop: int) -> None:
    from lightning.pytorch.callbacks import ModelCheckpoint

    from tarn.training.adapters.lightning import ShardDataModule

    alone = loader(shards)
    expected = [batch.keys for _ in range(2) for batch in alone]

    def fitted(steps: int, checkpoint: str | None) -> list[tuple[str, ...]]:
        keeper = ModelCheckpoint(tmp_path / "kept", every_n_train_steps=steps, save_top_k=0, save_last=True)
        data = ShardDataModule(partial(loader, shards), partial(loader, shards, split="val", train=False))
        model, trainer = model_and_trainer(tmp_path, max_steps=steps, callbacks=[keeper])
        trainer.fit(model, data, ckpt_path=checkpoint)
        return [keys for epoch in sorted(model.trained) for keys in model.trained[epoch]]

    assert fitted(stop, None) + fitted(14, str(tmp_path / "kept" / "last.ckpt")) == expected


def test_what_is_no_maker_and_a_stage_without_one_are_refused(shards: Path, tmp_path: Path) -> None:
    from tarn.training.adapters.lightning import ShardDataModule

    with loader(shards) as train, pytest.raises(UsageError, match=r"train=lambda: ShardLoader\(\.\.\.\)"):
        ShardDataModule(train)  # type: ignore[arg-type]
    model, trainer = model_and_trainer(tmp_path, enable_checkpointing=False)
    model.test_step = model.validation_step
    with pytest.raises(UsageError, match=r"has no test: give it test=lambda"):
        trainer.test(model, ShardDataModule(partial(loader, shards)))
