"""Runs in this process, on the CPU: what is trained, kept, told and exported when something went otherwise."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from support.datasets import without_validation
from support.runs import epoch_line, fit, same, weights
from tarn.training.run import checkpoint
from tarn.training.run import fit as fit_module


def test_a_run_begun_anew_in_its_folder_exports_and_reports_its_own_model(shards: Path, copy: Path) -> None:
    before, report = weights(copy / "model.pt"), (copy / "evaluation.json").read_text()
    shutil.rmtree(copy / "checkpoints")
    fit(shards, copy, "--seed=4")
    assert not torch.equal(before["fc.weight"], weights(copy / "model.pt")["fc.weight"])
    assert json.loads(report)["checkpoint"] != json.loads((copy / "evaluation.json").read_text())["checkpoint"]


@pytest.mark.parametrize("name", ["model.pt", "model.pkl"])
def test_a_cut_or_missing_export_is_made_again(shards: Path, whole: Path, copy: Path, name: str) -> None:
    path = copy / name
    if name == "model.pt":
        path.write_bytes(path.read_bytes()[:1000])
    else:
        path.unlink()
    fit(shards, copy)
    assert same(whole / "model.pt", copy / "model.pt")
    assert json.loads((copy / "exported.json").read_text())[name] == checkpoint.sha256(path)


def test_a_run_whose_markers_were_lost_goes_on_and_loses_nothing(
    shards: Path, copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in (copy / "checkpoints").glob("*.json"):
        path.unlink()
    kept = sorted((copy / "checkpoints").glob("*.pt"))
    fit(shards, copy, "--optim.epochs=2")
    assert all(path.exists() for path in kept)
    said = capsys.readouterr().out
    assert "lost its marker; the file is sound" in said
    assert "Going on after step" in said


def test_a_complete_run_keeps_its_config_and_says_what_is_not_used(
    shards: Path, copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (copy / "config.yaml").read_text()
    fit(shards, copy, "--optim.lr=5.0")
    assert (copy / "config.yaml").read_text() == before
    assert "not used is optim.lr=5.0 (was 0.02)" in capsys.readouterr().out


def test_a_step_that_diverges_is_not_saved_and_the_run_goes_on_at_a_lower_rate(
    shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fit(shards, tmp_path / "run", "--optim.lr=1e30", "--optim.warmup_epochs=0", "--optim.max_steps=1", expected=1)
    assert "diverged by step 1" in capsys.readouterr().err
    assert list((tmp_path / "run" / "checkpoints").iterdir()) == []
    fit(shards, tmp_path / "run", "--optim.max_steps=1")


def test_a_lost_loss_tells_which_checkpoint_there_is_to_go_on_from(
    shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--optim.lr=1e30", "--optim.warmup_epochs=0", "--journal.every_steps=2")
    fit(shards, tmp_path / "new", *words, expected=1)
    assert "the training loss is nan at step 2" in (error := capsys.readouterr().err)
    assert error.endswith("lengthen optim.warmup_epochs; there is no checkpoint from before.\n")
    fit(shards, tmp_path / "begun", "--optim.max_steps=1")
    fit(shards, tmp_path / "begun", *words, expected=1)
    assert "lengthen optim.warmup_epochs; the checkpoint of step 1 stays." in capsys.readouterr().err
    assert (tmp_path / "begun" / "checkpoints" / "step-00000001.pt").exists()


def test_saves_by_time_change_neither_weights_nor_the_epoch_line(shards: Path, whole: Path, tmp_path: Path) -> None:
    fit(shards, tmp_path, "--checkpoint.every_minutes=1e-9", "--checkpoint.keep_last=99")
    assert len(list((tmp_path / "checkpoints").glob("*.pt"))) == epoch_line(tmp_path)["step"] > 1
    assert same(whole / "model.pt", tmp_path / "model.pt")


@pytest.mark.parametrize("told", [False, True])
def test_a_run_killed_in_or_behind_its_validation_tells_the_same_line_once(
    shards: Path, whole: Path, copy: Path, told: bool
) -> None:
    """As a kill leaves it: saved, with or without the validation in the marker, nothing told, reported or exported."""
    for name in ("exported.json", "evaluation.json", "model.pt", "model.pkl", "metrics.jsonl"):
        (copy / name).unlink()
    marker = checkpoint.markers(copy / "checkpoints")[-1]
    if not told:
        del marker["figures"]
        checkpoint.write_marker(marker["path"], marker)
    fit(shards, copy)
    assert epoch_line(copy) == epoch_line(whole)
    assert same(whole / "model.pt", copy / "model.pt")
    assert checkpoint.markers(copy / "checkpoints")[-1]["figures"]["val_top1"] == epoch_line(whole)["val_top1"]
    read = torch.load(copy / "model.pt", weights_only=True)["provenance"]
    assert read["val_top1"] == epoch_line(whole)["val_top1"]


def test_a_run_goes_on_in_fp16_from_a_checkpoint_without_a_scale(
    shards: Path, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scaler = torch.amp.GradScaler("cpu", init_scale=4.0, enabled=True)
    monkeypatch.setattr("tarn.training.run.learner.build_scaler", lambda dtype, device: scaler)
    fit(shards, copy, "--optim.epochs=2")
    told = checkpoint.read(checkpoint.markers(copy / "checkpoints")[-1]["path"])
    assert told["trainer"]["scaler"]["scale"] == 4.0


def test_a_dataset_without_another_split_is_trained_without_validation_which_is_said(
    shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    alone = without_validation(shards, tmp_path / "alone")
    fit(alone, tmp_path / "run")
    assert "trained without validation" in capsys.readouterr().out
    assert (tmp_path / "run" / "model.pkl").exists()
    assert not (tmp_path / "run" / "evaluation.json").exists()
    fit(alone, tmp_path / "other", "--optim.schedule=plateau", expected=2)
    assert "'plateau' follows the validation" in capsys.readouterr().err


def test_a_warm_up_as_long_as_the_run_is_told(shards: Path, copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fit(shards, copy, "--optim.epochs=2", "--optim.warmup_epochs=5")
    said = capsys.readouterr().out
    assert "never reaches its peak of 0.02" in said
    assert "The learning rate goes on at" in said


def test_a_part_of_one_sample_is_refused_in_one_sentence(
    shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fit(shards, tmp_path, "--optim.micro_batch=1", expected=1)
    assert "raise optim.micro_batch" in capsys.readouterr().err
    fit(shards, tmp_path, "--optim.global_batch=9", "--optim.micro_batch=8",
        "--optim.max_steps=1")  # fmt: skip


def altered(monkeypatch: pytest.MonkeyPatch, change: Callable[[nn.Module], object]) -> None:
    """The network of the runs to come is changed before its first step."""
    build = fit_module.network_of

    def built(*words: Any) -> tuple[nn.Module, list[str]]:
        model, said = build(*words)
        change(model)
        return model, said

    monkeypatch.setattr(fit_module, "network_of", built)


def test_a_validation_loss_that_is_no_number_is_told_and_counts_as_no_score(
    shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A negative running variance: finite, of no weight in training, whose root evaluation takes."""
    altered(monkeypatch, lambda model: model.bn1.running_var.fill_(-100.0))  # type: ignore[union-attr,operator]
    fit(shards, tmp_path, expected=1)
    said = capsys.readouterr()
    assert "Warning: the validation loss (val_loss) is nan at step 3: this is no score" in said.out
    assert "which is no score" in said.err
    assert said.err.count("\n") == 1
    (line,) = (line for line in lines(tmp_path) if line["kind"] == "epoch")
    assert [line[f"val_{name}"] for name in ("loss", "top1", "top5")] == [None, None, None]
    (marker,) = checkpoint.markers(tmp_path / "checkpoints")
    assert (marker["top1"], marker["figures"]["val_loss"]) == (None, None)
    assert not (tmp_path / "evaluation.json").exists()
    assert not (tmp_path / "model.pt").exists()


def lines(run: Path) -> list[dict[str, Any]]:
    """Of metrics.jsonl, as strict readers of JSON take them."""

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is not JSON")

    return [json.loads(line, parse_constant=refuse) for line in (run / "metrics.jsonl").read_text().splitlines()]


def test_a_device_without_memory_for_a_part_is_told_with_the_setting_that_mends_it(
    shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*words: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nSee the documentation")

    altered(monkeypatch, lambda model: model.layer1.register_forward_hook(refuse))
    fit(shards, tmp_path, expected=1)
    said = capsys.readouterr().err
    assert "parts of optim.micro_batch=39 (CUDA out of memory. Tried to allocate 2.00 GiB.)" in said
    assert "lower optim.micro_batch" in said
    assert said.count("\n") == 1
