"""transformers' Trainer, resumed from its last checkpoint; every optimizer step takes one global batch."""

import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from support.exactness import LAST, Life
from tarn.training.adapters.numbered import Form
from tarn.training.adapters.transformers import ShardTrainer
from tarn.training.streaming import Batch
from tarn.training.streaming.planned import PlannedLoader


class Model(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 10)

    def forward(self, pixel_values: Tensor, labels: Tensor, ids: Tensor) -> dict[str, Tensor]:
        logits = self.layer(pixel_values.mean((2, 3)))
        return {"loss": cross_entropy(logits, labels), "logits": logits, "ids": ids}


def train(life: Life) -> None:
    from transformers import TrainerCallback, TrainingArguments
    from transformers.trainer_utils import get_last_checkpoint

    names: dict[int, str] = {}

    class Trainer(ShardTrainer):
        def form(self, loader: PlannedLoader) -> Form:
            plain = super().form(loader)

            def with_ids(batch: Batch) -> dict[str, Tensor]:
                """Numbers of the pictures, in the place of padding -1."""
                formed = plain(batch)
                numbers = [int(key.encode().hex()[-15:], 16) for key in batch.keys]
                names.update(zip(numbers, batch.keys, strict=True))
                missing = len(formed["labels"]) - len(numbers)
                return {**formed, "ids": torch.tensor(numbers + [-1] * missing)}

            return with_ids

        def training_step(self, model: nn.Module, inputs: dict[str, Any], *more: Any) -> Tensor:
            life.trains(self.state.global_step, [names[number] for number in inputs["ids"].tolist()])
            return super().training_step(model, inputs, *more)  # type: ignore[no-any-return]

        def prediction_step(self, model: nn.Module, inputs: dict[str, Any], *more: Any, **rest: Any) -> Any:
            seen.extend(names[number] for number in inputs["ids"].tolist() if number >= 0)
            return super().prediction_step(model, inputs, *more, **rest)

    seen: list[str] = []

    class Told(TrainerCallback):
        def on_evaluate(self, *told: Any, metrics: dict[str, float], **more: Any) -> None:
            assert metrics["eval_pictures"] == 40
            life.evaluated(seen)
            seen.clear()

    warnings.simplefilter("ignore")
    arguments = TrainingArguments(
        str(Path(life.home) / "kept"), max_steps=LAST, save_steps=2, eval_strategy="steps", eval_steps=4,
        use_cpu=True, ddp_backend="gloo", report_to=[], disable_tqdm=True, learning_rate=0.1, save_total_limit=2,
    )  # fmt: skip
    trainer = Trainer(
        Model(), arguments, train_dataset=life.loader(), eval_dataset=life.loader(train=False), callbacks=[Told()],
        compute_metrics=lambda told: {"pictures": int((told.label_ids >= 0).sum())},
    )  # fmt: skip
    trainer.train(resume_from_checkpoint=get_last_checkpoint(arguments.output_dir) if life.number else None)
