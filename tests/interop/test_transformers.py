"""transformers' Trainer over loaders: what it skips, accumulates and evaluates."""

import importlib.util
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from support.loaders import shard_loader
from tarn.sharding.errors import UsageError
from tarn.training.streaming import ShardLoader

pytestmark = [
    pytest.mark.skipif(importlib.util.find_spec("transformers") is None, reason="the extra interop is not installed"),
    pytest.mark.filterwarnings("ignore"),  # its own, of its own uses of torch
]


class Model(nn.Module):
    """Keeps the labels of what it was trained on."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.trained = nn.Linear(3, 10), list[list[int]]()

    def forward(self, pixel_values: Tensor, labels: Tensor) -> dict[str, Tensor]:
        if self.training:
            self.trained.append(labels.tolist())
        logits = self.layer(pixel_values.mean((2, 3)))
        return {"loss": nn.functional.cross_entropy(logits, labels), "logits": logits}


def loader(shards: Path, **more: Any) -> ShardLoader:
    return shard_loader(str(shards), **{"global_batch": 8, "image_size": 16, "num_workers": 0, **more})


def trainer(model: Model, shards: Path, out: Path, train: ShardLoader | None = None, **more: Any) -> Any:
    from transformers import TrainingArguments

    from tarn.training.adapters.transformers import ShardTrainer

    arguments = TrainingArguments(
        str(out),
        use_cpu=True,
        report_to=[],
        disable_tqdm=True,
        save_steps=2,
        gradient_accumulation_steps=2,
        lr_scheduler_type="constant",
        **more,
    )
    small, large = (loader(shards, split="val", train=False, global_batch=size) for size in (12, 40))
    return ShardTrainer(
        model, arguments, train_dataset=train or loader(shards), eval_dataset={"small": small, "large": large},
        compute_metrics=lambda told: {"pictures": len(told.label_ids)},
    )  # fmt: skip


def test_resuming_skips_without_decoding_and_accumulates_as_before(shards: Path, tmp_path: Path) -> None:
    """15 batches are 8 steps of an epoch, the last one of a single batch."""
    whole, begun, resumed = Model(), Model(), Model()
    begun.load_state_dict(whole.state_dict())
    trainer(whole, shards, tmp_path / "whole", max_steps=12).train()
    trainer(begun, shards, tmp_path / "parts", max_steps=4).train()
    stream, asked = loader(shards), []
    real = stream.batches
    stream.batches = lambda *place: asked.append(place) or real(*place)  # type: ignore[func-returns-value,method-assign]
    trainer(resumed, shards, tmp_path / "parts", stream, max_steps=12).train(resume_from_checkpoint=True)
    alone = loader(shards)
    expected = [batch.labels.tolist() for _ in range(2) for batch in alone][: 15 + 8]
    assert whole.trained == expected
    assert begun.trained + resumed.trained == expected
    assert asked == [(0, 8), (1, 0)]
    assert torch.equal(resumed.layer.weight, whole.layer.weight)


def test_every_named_loader_is_evaluated_whole(shards: Path, tmp_path: Path) -> None:
    metrics = trainer(Model(), shards, tmp_path).evaluate()
    assert metrics["eval_small_pictures"] == metrics["eval_large_pictures"] == 40


def test_ignoring_the_skip_is_refused(shards: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="begins the epoch again"):
        trainer(Model(), shards, tmp_path, ignore_data_skip=True, max_steps=1).train()


def test_other_datasets_and_batches_without_labels_are_refused(shards: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="train_dataset is a list, expected a ShardLoader"):
        trainer(Model(), shards, tmp_path, [{"pixel_values": 1}], max_steps=1).train()  # type: ignore[arg-type]
    captions = loader(shards, fields={"it": "cls"})
    with captions, pytest.raises(UsageError, match="batches of the fields it have no labels"):
        trainer(Model(), shards, tmp_path, captions, max_steps=1).train()
