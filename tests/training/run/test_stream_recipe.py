"""A run that asks everything of its stream: growing pictures, repeats, alternating flips, bicubic crops."""

from pathlib import Path

import pytest
import torch

from tarn.training.__main__ import main
from tarn.training.export.artifact import Artifact

WORDS = [
    "--model.arch=resnet18", "--data.image_size=32", "--data.eval_resize=36", "--data.lanes=4",
    "--data.active_shards=4", "--data.workers=0", "--optim.epochs=2", "--optim.global_batch=40",
    "--optim.micro_batch=40", "--optim.lr=0.02", "--optim.warmup_epochs=0.5", "--journal.tensorboard=false",
    "--eval_batch=20", "--device=cpu", "--amp=off", "--seed=3", "--data.first_size=16", "--data.ramp=[0, 2]",
    "--data.repeats=2", "--data.augment.flip_mode=alternate", "--data.interpolation=bicubic",
]  # fmt: skip


def fit(shards: Path, out: Path, *more: str, expected: int = 0) -> None:
    assert main(["fit", f"--data.shards={shards}", f"--out={out}", *WORDS, *more]) == expected


def test_a_run_that_was_stopped_in_an_epoch_of_another_size_ends_with_the_same_weights(
    shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fit(shards, tmp_path / "whole")
    log = (tmp_path / "whole" / "train.log").read_text()
    assert "120 crops an epoch (2 of a picture) from 120 training pictures at 16 px, 32 from epoch 1, 40" in log
    fit(shards, tmp_path / "stopped", "--optim.max_steps=4")  # in epoch 1, the second of its cycle
    fit(shards, tmp_path / "stopped")
    one, other = (Artifact.read(tmp_path / name / "model.pt") for name in ("whole", "stopped"))
    assert all(torch.equal(one.state_dict[name], other.state_dict[name]) for name in one.state_dict)
    assert one.metadata()["preprocessing"]["interpolation"] == "bicubic antialias"
    capsys.readouterr()
    for key, before, now in (("data.repeats", 2, 1), ("optim.global_batch", 40, 20)):
        fit(shards, tmp_path / "whole", f"--{key}={now}", "--optim.epochs=3", expected=1)
        told = (
            f"{key}={before}, this run has {now}: give {key}={before} to go on with it, or begin another run by --out."
        )
        assert told in capsys.readouterr().err
