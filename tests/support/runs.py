"""Small runs in the test's process, on the CPU."""

import json
from pathlib import Path

import torch

from tarn.training.__main__ import main

WORDS = [
    "--model.arch=resnet18", "--data.image_size=32", "--data.eval_resize=36",
    "--data.lanes=4", "--data.active_shards=4", "--data.workers=0", "--optim.epochs=1", "--optim.global_batch=40",
    "--optim.micro_batch=39", "--optim.lr=0.02", "--optim.warmup_epochs=0.5", "--journal.tensorboard=false",
    "--eval_batch=20", "--device=cpu", "--amp=off", "--seed=3",
]  # fmt: skip


def fit(shards: Path, out: Path, *more: str, expected: int = 0) -> None:
    assert main(["fit", f"--data.shards={shards}", f"--out={out}", *WORDS, *more]) == expected


def weights(path: Path) -> dict[str, torch.Tensor]:
    return torch.load(path, weights_only=True)["state_dict"]  # type: ignore[no-any-return]


def same(one: Path, other: Path) -> bool:
    first, second = weights(one), weights(other)
    return all(torch.equal(first[name], second[name]) for name in first)


def epoch_line(run: Path) -> dict[str, float]:
    (line,) = (
        line for line in map(json.loads, (run / "metrics.jsonl").read_text().splitlines()) if line["kind"] == "epoch"
    )
    return {name: value for name, value in line.items() if name not in ("images_per_second", "data_wait")}
