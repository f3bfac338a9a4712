"""What validation sees may change between two starts: scores are compared with their like alone, and the report is of
the model as it is exported."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from support.runs import fit
from tarn.training.run import checkpoint

LATER = ("--optim.epochs=2", "--optim.lr=1e-6", "--optim.warmup_epochs=0", "--export=best")


def report(run: Path) -> dict[str, Any]:
    return json.loads((run / "evaluation.json").read_text())  # type: ignore[no-any-return]


def exported(run: Path) -> dict[str, Any]:
    return torch.load(run / "model.pt", weights_only=True)  # type: ignore[no-any-return]


def test_scores_of_another_view_are_not_compared_and_the_report_is_the_exported_models(
    shards: Path, copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (first,) = [marker for marker in checkpoint.markers(copy / "checkpoints") if marker["top1"] is not None]
    checkpoint.add_to_marker(first["path"], {"top1": 1.0})  # nothing later is better
    fit(shards, copy, *LATER, "--data.eval_crop=48", "--data.eval_resize=54")
    assert "scores are measured anew" in capsys.readouterr().out
    model = exported(copy)
    assert report(copy)["step"] == model["provenance"]["step"] > first["step"]
    assert report(copy)["top1"] == model["provenance"]["val_top1"]
    assert (model["preprocessing"]["crop"], model["preprocessing"]["resize"]) == (48, 54)


def test_with_the_same_view_the_earlier_one_stays_the_best(shards: Path, copy: Path) -> None:
    (first,) = [marker for marker in checkpoint.markers(copy / "checkpoints") if marker["top1"] is not None]
    checkpoint.add_to_marker(first["path"], {"top1": 1.0})
    fit(shards, copy, *LATER)
    assert report(copy)["step"] == exported(copy)["provenance"]["step"] == first["step"]


def test_a_complete_run_is_scored_as_its_model_sees_whatever_is_told_now(
    shards: Path, copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = report(copy)
    (copy / "evaluation.json").unlink()
    fit(shards, copy, "--data.eval_crop=48", "--data.eval_resize=54")
    assert report(copy) == before
    assert "not used is data.eval_resize=54 (was 36); data.eval_crop=48" in capsys.readouterr().out


def test_what_a_complete_run_uses_is_not_said_to_be_unused(
    shards: Path, copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fit(shards, copy, "--eval_flip=true", "--optim.lr=0.5")
    said = capsys.readouterr().out
    assert "not used is optim.lr=0.5 (was 0.02)." in said
    assert report(copy)["flip"] is True


def test_the_best_before_the_change_ends_no_run_early(
    shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    words = ("--optim.warmup_epochs=0", "--optim.lr=1e-6", "--optim.early_stop=1", "--checkpoint.every_steps=1")
    fit(shards, run, *words, "--optim.epochs=9", "--optim.max_steps=1")  # before any score
    (marker,) = checkpoint.markers(run / "checkpoints")
    payload = checkpoint.read(marker["path"])
    payload["trainer"]["early_stop"] = {"best": 1.0, "worse": 0}
    path = checkpoint.save(run / "checkpoints", 1, payload, {"epoch": 0, "top1": None})
    fit(shards, run, *words, "--optim.epochs=1", "--data.eval_crop=48", "--data.eval_resize=54")
    assert "stopped early" not in capsys.readouterr().out
    assert path.exists()
    best = checkpoint.read(checkpoint.markers(run / "checkpoints")[-1]["path"])["trainer"]["early_stop"]["best"]
    assert best < 1
