"""Runs in this process, on the CPU: which weights they end with, and when they end of themselves."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from support.datasets import picture_tree, without_validation
from tarn.sharding.errors import TarnError
from tarn.sharding.format.manifest import HEADER, read_manifest
from tarn.sharding.packing.pack import PackConfig, pack
from tarn.training.__main__ import main
from tarn.training.recipe.early_stop import EarlyStop
from tarn.training.recipe.optim import OptimConfig
from tarn.training.run import checkpoint
from tarn.training.run.building import build_trainer
from tarn.training.run.class_counts import class_counts
from tarn.training.run.config import ModelConfig, RunConfig
from tarn.training.run.network import network_of
from tarn.training.streaming.config import DataConfig
from tarn.training.streaming.holdout import hold_out
from tarn.training.world.world import joined_world

WORDS = [
    "--model.arch=resnet18", "--data.image_size=32", "--data.eval_resize=36", "--data.lanes=4",
    "--data.active_shards=4", "--data.workers=0", "--optim.epochs=2", "--optim.global_batch=40", "--optim.lr=0.02",
    "--optim.warmup_epochs=0.5", "--journal.tensorboard=false", "--eval_batch=20", "--device=cpu", "--amp=off",
    "--seed=3",
]  # fmt: skip
STEPS = 3  # of an epoch


def words(shards: Path, out: Path, *more: str) -> list[str]:
    return ["fit", f"--data.shards={shards}", f"--out={out}", *WORDS, *more]


def fit(shards: Path, out: Path, *more: str, expected: int = 0) -> None:
    assert main(words(shards, out, *more)) == expected


def exported(run: Path) -> dict[str, Any]:
    return torch.load(run / "model.pt", weights_only=True)  # type: ignore[no-any-return]


def report(run: Path) -> dict[str, Any]:
    return json.loads((run / "evaluation.json").read_text())  # type: ignore[no-any-return]


def state(run: Path, step: int) -> dict[str, Any]:
    return checkpoint.read(checkpoint.path_of(run / "checkpoints", step))["trainer"]  # type: ignore[no-any-return]


def epochs(run: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [line for line in lines if line["kind"] == "epoch"]


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


AVERAGED = ("--optim.optimizer=lamb", "--optim.ema_decay=0.7")


@pytest.fixture(scope="module")
def whole(shards: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A complete run of two epochs with an average, to be copied."""
    out = tmp_path_factory.mktemp("endings") / "whole"
    fit(shards, out, *AVERAGED)
    return out


@pytest.fixture
def copy(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "run"))


def test_both_the_weights_and_their_average_are_validated_each_epoch(shards: Path, whole: Path) -> None:
    assert len(epochs(whole)) == 2
    for line in epochs(whole):
        assert line["val_loss"] != line["val_ema_loss"]
        assert {"val_top1", "val_top5", "val_ema_top1", "val_ema_top5"} <= line.keys()
    log = (whole / "train.log").read_text()
    assert re.search(r"epoch +lr .* val loss +top-1 +ema +img/s", log)
    assert f"{epochs(whole)[1]['val_top1']:.2%}  {epochs(whole)[1]['val_ema_top1']:>7.2%} " in log


def test_the_average_and_the_best_epochs_weights_are_scored_and_exported_where_asked_for(
    shards: Path, copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before, figures = exported(copy), epochs(copy)[1]
    assert (report(copy)["export"], report(copy)["loss"]) == ("last", pytest.approx(figures["val_loss"]))
    fit(shards, copy, *AVERAGED, "--export=averaged")
    said = capsys.readouterr().out
    assert "Evaluated the averaged weights (step 6)" in said
    assert "not used" not in said
    model = exported(copy)
    assert same(model["state_dict"], state(copy, 6)["average"]["model"])
    assert not same(model["state_dict"], before["state_dict"])
    assert report(copy)["export"] == model["provenance"]["weights"] == "averaged"
    for told in (report(copy)["loss"], model["provenance"]["val_loss"]):
        assert told == pytest.approx(figures["val_ema_loss"])
    first = checkpoint.path_of(copy / "checkpoints", STEPS)
    checkpoint.add_to_marker(first, {"top1": 0.999})  # so that it was the best
    fit(shards, copy, *AVERAGED, "--export=best")
    assert same(exported(copy)["state_dict"], state(copy, STEPS)["model"])
    assert (report(copy)["export"], report(copy)["step"]) == ("best", STEPS)
    assert report(copy)["top1"] == epochs(copy)[0]["val_top1"]
    assert report(copy)["loss"] == pytest.approx(epochs(copy)[0]["val_loss"])
    capsys.readouterr()
    fit(shards, copy, *AVERAGED, "--export=best")
    assert "Exported before" in capsys.readouterr().out
    first.write_bytes(first.read_bytes()[:-1])
    fit(shards, copy, *AVERAGED, "--export=best")
    assert "passed over for the next best" in capsys.readouterr().out
    assert same(exported(copy)["state_dict"], state(copy, 2 * STEPS)["model"])


def test_the_command_exports_an_average_and_refuses_where_none_was_kept(
    shards: Path, copy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", f"--checkpoint={copy}", f"--out={tmp_path / 'out'}", "--averaged"]) == 0
    assert same(exported(tmp_path / "out")["state_dict"], state(copy, 6)["average"]["model"])
    path = checkpoint.path_of(copy / "checkpoints", 6)
    payload = torch.load(path, weights_only=True)
    del payload["trainer"]["average"]
    torch.save(payload, path)
    assert main(["export", f"--checkpoint={path}", f"--out={tmp_path / 'other'}", "--averaged"]) == 1
    assert "holds no averaged weights" in capsys.readouterr().err
    assert not (tmp_path / "other" / "model.pt").exists()


def test_a_run_does_not_change_its_optimizer_on_its_way(
    shards: Path, copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fit(shards, copy, "--optim.epochs=3", expected=2)
    assert "optim.optimizer='sgd' cannot go on from a checkpoint of 'lamb'" in capsys.readouterr().err


def test_a_run_that_is_killed_goes_on_to_the_same_weights_average_and_score(
    shards: Path, whole: Path, tmp_path: Path
) -> None:
    run, more = tmp_path / "run", (*AVERAGED, "--checkpoint.every_steps=1", "--export=averaged")
    command = [sys.executable, "-m", "training", *words(shards, run, *more)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 200
    while not (run / "checkpoints" / "step-00000004.json").exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.002)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    fit(shards, run, *more)
    mine, theirs = state(run, 6), state(whole, 6)
    assert same(mine["model"], theirs["model"])
    assert same(mine["average"]["model"], theirs["average"]["model"])
    assert (mine["average"]["steps"], mine["average"]["updates"]) == (6, 6)
    assert same(exported(run)["state_dict"], theirs["average"]["model"])
    assert report(run)["loss"] == pytest.approx(epochs(whole)[1]["val_ema_loss"])


STOPPING = ("--optim.epochs=9", "--optim.lr=1e-6", "--optim.warmup_epochs=0", "--optim.early_stop=2",
            "--optim.schedule=constant", "--checkpoint.keep_last=9")  # fmt: skip


def test_a_run_that_stopped_early_reports_exports_and_does_not_go_on_until_told_to(
    shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    fit(shards, run, *STOPPING, "--optim.max_steps=4")  # as a run that is left and gone on with
    fit(shards, run, *STOPPING)
    scores = [line["val_top1"] for line in epochs(run) if line["step"] % STEPS == 0]
    stop = EarlyStop(2)
    for at, score in enumerate(scores):
        assert not stop.is_over, at
        stop = stop.observed(score)
    assert stop.is_over
    assert len(scores) < 9
    sentence = f"The run stopped early at epoch {len(scores) - 1}: 2 epochs in a row"
    assert sentence in capsys.readouterr().out
    assert report(run)["step"] == len(scores) * STEPS
    assert same(exported(run)["state_dict"], state(run, len(scores) * STEPS)["model"])
    before = sorted((run / "checkpoints").iterdir())
    fit(shards, run, *STOPPING)
    said = capsys.readouterr().out
    assert said.count(sentence) == 1
    assert "Going on" not in said
    assert sorted((run / "checkpoints").iterdir()) == before
    fit(shards, run, *STOPPING, "--optim.early_stop=3", f"--optim.max_steps={len(scores) * STEPS + 1}")
    assert "Going on after step" in capsys.readouterr().out
    assert state(run, len(scores) * STEPS + 1)["early_stop"] == {"best": stop.best, "worse": 2}


@pytest.mark.parametrize(("export", "best"), [("last", 0.2), ("best", 0.2), ("averaged", 0.3)])
def test_early_stop_follows_the_score_of_the_weights_that_are_exported(shards: Path, export: str, best: float) -> None:
    data = DataConfig(shards=str(shards), workers=0, image_size=32, eval_resize=36, lanes=4, active_shards=4)
    optim, model = OptimConfig(global_batch=40, ema_decay=0.9, early_stop=2), ModelConfig(arch="resnet18")
    config = RunConfig(data=data, model=model, optim=optim, device="cpu", export=export)
    manifest = read_manifest(data.shards)
    with joined_world("cpu") as world:
        trainer = build_trainer(config, world, manifest, network_of(config, len(manifest.classes))[0])
    trainer.stream = trainer.stream.advanced(trainer.train_loader.plan.samples)
    trainer.turn({"val_top1": 0.2, "val_ema_top1": 0.3})
    assert trainer.early_stop.best == best


@pytest.mark.parametrize(("word", "told"), [("--optim.early_stop=2", "early_stop=2"), ("--export=best", "'best'")])
def test_what_follows_the_validation_is_refused_where_there_is_none(
    shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], word: str, told: str
) -> None:
    alone = without_validation(shards, tmp_path / "alone")
    fit(alone, tmp_path / "run", word, expected=2)
    assert f"{told} follows the validation" in capsys.readouterr().err
    assert not (tmp_path / "run" / "checkpoints").exists()


def test_pictures_of_each_class_are_counted_for_balanced_weights(tmp_path: Path) -> None:
    tree = picture_tree(tmp_path / "tree", classes=3, train=9)
    for number in range(6):
        (tree / "train" / "class1" / f"train{number}.jpg").unlink()
    pack(tree, str(tmp_path / "shards"), PackConfig(shard_size=9_000))
    data = DataConfig(shards=str(tmp_path / "shards"))
    manifest = read_manifest(data.shards)
    assert len(manifest.split("train").shards) > 1
    assert class_counts(data, manifest).tolist() == [9, 3, 9]
    optim = OptimConfig(class_weights="balanced", global_batch=21)
    model = ModelConfig(arch="resnet18")
    data = DataConfig(shards=data.shards, workers=0, image_size=32, eval_resize=36, lanes=1, active_shards=1)
    with joined_world("cpu") as world:
        config = RunConfig(data=data, model=model, optim=optim, device="cpu")
        trainer = build_trainer(config, world, manifest, network_of(config, 3)[0])
    assert trainer.learner.loss.class_weights is not None
    assert trainer.learner.loss.class_weights.tolist() == pytest.approx([21 / 27, 21 / 9, 21 / 27])


def test_classes_are_never_counted_by_an_index_that_changed(tmp_path: Path) -> None:
    pack(picture_tree(tmp_path / "tree", train=3), str(tmp_path / "shards"), PackConfig())
    index = tmp_path / "shards" / "train" / "train-000000.idx"
    raw = bytearray(index.read_bytes())
    raw[HEADER + 12] ^= 1  # of the first record's label
    index.write_bytes(raw)
    data = DataConfig(shards=str(tmp_path / "shards"))
    with pytest.raises(TarnError, match=r"train-000000\.idx does not have the SHA-256 of the manifest"):
        class_counts(data, read_manifest(data.shards))


def test_pictures_that_are_held_out_do_not_weigh(tmp_path: Path) -> None:
    tree = picture_tree(tmp_path / "tree", classes=3, train=20)
    pack(tree, str(tmp_path / "shards"), PackConfig(shard_size=9_000, split="train"))
    data = DataConfig(shards=str(tmp_path / "shards"), val_fraction=0.3)
    manifest = read_manifest(data.shards)
    assert data.holdout is not None
    halves = hold_out(data.shards, manifest, data.holdout, data.access(data.shards))
    left, held = (class_counts(data, manifest, half) for half in halves)
    assert [int(counts.sum()) for counts in (left, held)] == [int(half.sizes.sum()) for half in halves]
    assert (left + held).tolist() == [20, 20, 20]
    optim = OptimConfig(class_weights="balanced", global_batch=8)
    data = replace(data, workers=0, image_size=32, eval_resize=36, lanes=1, active_shards=1)
    with joined_world("cpu") as world:
        config = RunConfig(data=data, model=ModelConfig(arch="resnet18"), optim=optim, device="cpu")
        trainer = build_trainer(config, world, manifest, network_of(config, 3)[0])
    weights = trainer.learner.loss.class_weights
    assert weights is not None
    assert weights.tolist() == pytest.approx((left.sum() / (3 * left)).tolist())
