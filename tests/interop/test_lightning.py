"""ShardLoader as Lightning's Trainer takes loaders: sanity check, epochs, validation, transfer to the device."""

import importlib.util
from pathlib import Path
from typing import Any

import pytest
import torch

from support.loaders import shard_loader
from tarn.training.streaming import Batch, ShardLoader

pytestmark = [
    pytest.mark.skipif(importlib.util.find_spec("lightning") is None, reason="the extra interop is not installed"),
    pytest.mark.filterwarnings("ignore"),  # Lightning's own, of its own uses of torch
]


def loader(shards: Path, **more: Any) -> ShardLoader:
    settings = {"global_batch": 16, "image_size": 16, "lanes": 4, "active_shards": 4, "keys": True, "num_workers": 1}
    return shard_loader(str(shards), **{**settings, **more})


def test_lightning_trains_whole_epochs_and_validates_every_picture_each_time(shards: Path, tmp_path: Path) -> None:
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

    train, val = loader(shards), loader(shards, split="val", train=False)
    model = Model()
    trainer = lightning.Trainer(
        max_epochs=3, accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False,
        num_sanity_val_steps=2, default_root_dir=tmp_path, enable_checkpointing=False,
    )  # fmt: skip
    trainer.fit(model, train, val)
    alone = loader(shards)
    for epoch in range(3):
        assert model.trained[epoch] == [batch.keys for batch in alone]
    checked, *whole = model.validated
    assert len(checked) == 32  # the sanity check looks at two batches
    assert [len(set(keys)) for keys in whole] == [len(keys) for keys in whole] == [40] * 3
    for each in (train, val, alone):
        each.close()
