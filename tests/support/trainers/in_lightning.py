"""Lightning's Trainer, going on from the last checkpoint of its ModelCheckpoint; validation within the epoch."""

import warnings
from pathlib import Path

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from support.exactness import LAST, Life
from tarn.training.adapters.lightning import ShardDataModule
from tarn.training.streaming import Batch


def train(life: Life) -> None:
    import lightning
    from lightning.pytorch.callbacks import ModelCheckpoint

    class Model(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.layer, self.seen = nn.Linear(3, 10), list[str]()

        def training_step(self, batch: Batch, number: int) -> torch.Tensor:
            life.trains(self.global_step, batch.keys)
            return cross_entropy(self.layer(batch.images.float().mean((1, 2)) / 255), batch.labels)

        def on_validation_epoch_start(self) -> None:
            self.seen.clear()

        def validation_step(self, batch: Batch, number: int) -> None:
            self.seen += batch.keys

        def on_validation_epoch_end(self) -> None:
            if not self.trainer.sanity_checking:
                life.evaluated(self.seen)

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.SGD(self.parameters(), 0.1)

    warnings.simplefilter("ignore")
    keeper = ModelCheckpoint(Path(life.home) / "kept", every_n_train_steps=2, save_top_k=0, save_last=True)
    trainer = lightning.Trainer(
        max_steps=LAST, accelerator="cpu", devices=life.ranks, strategy="ddp" if life.ranks > 1 else "auto",
        logger=False, enable_progress_bar=False, enable_model_summary=False, callbacks=[keeper],
        val_check_interval=4, num_sanity_val_steps=2, reload_dataloaders_every_n_epochs=1,
        default_root_dir=life.home,
    )  # fmt: skip
    data = ShardDataModule(life.loader, lambda: life.loader(train=False))
    trainer.fit(Model(), data, ckpt_path="last" if life.number else None)
