"""A run that goes on with other settings, and a complete one that is started with others."""

import json
from pathlib import Path

import pytest

from support.runs import fit
from tarn.training.recipe.optim import OptimConfig
from tarn.training.run import checkpoint
from tarn.training.run.changes import growth_note
from tarn.training.run.config import RunConfig
from tarn.training.streaming.config import DataConfig


def test_settings_that_changed_are_told_by_key_and_used(
    shards: Path, copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--optim.weight_decay=0.25", "--optim.momentum=0.5", "--optim.nesterov=false", "--optim.decay_norms=true")
    fit(shards, copy, "--optim.epochs=2", "--optim.max_steps=4", "--checkpoint.every_steps=10",
        "--data.augment.scale=[0.5, 1.0]", *words)  # fmt: skip
    said = capsys.readouterr().out
    assert "checkpoint.every_steps=10 (was null)" in said  # although another key had the value before
    assert "data.augment.scale=[0.5, 1.0] (was [0.08, 1.0])" in said
    assert "optim.weight_decay=0.25 (was 0.0001)" in said
    told = checkpoint.read(checkpoint.markers(copy / "checkpoints")[-1]["path"])
    assert told["step"] == 4
    (group,) = told["trainer"]["optimizer"]["param_groups"]
    assert (group["weight_decay"], group["momentum"], group["nesterov"]) == (0.25, 0.5, False)


def test_a_complete_run_reports_another_split_that_is_asked_for(shards: Path, copy: Path) -> None:
    model = (copy / "model.pt").read_bytes()
    fit(shards, copy, "--data.val_split=train")
    report = json.loads((copy / "evaluation.json").read_text())
    assert (report["split"], report["samples"]) == ("train", 120)
    assert (copy / "model.pt").read_bytes() == model


def test_a_run_does_not_go_on_with_another_network(
    shards: Path, copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fit(shards, copy, "--model.arch=resnet34", expected=2)
    (said,) = capsys.readouterr().err.splitlines()
    assert "model.arch='resnet34'" in said
    assert "was begun with 'resnet18'" in said


def test_a_complete_run_is_scored_with_mirror_images_and_without_as_is_asked_for(shards: Path, copy: Path) -> None:
    def report() -> dict[str, object]:
        return json.loads((copy / "evaluation.json").read_text())  # type: ignore[no-any-return]

    before = report()
    fit(shards, copy, "--eval_flip=true")
    assert report()["flip"] is True
    assert report()["loss"] != before["loss"]
    fit(shards, copy)
    assert report() == before


@pytest.mark.parametrize(("epochs", "told"), [(5, None), (4, "pictures grow to 128 px"), (1, "pictures grow to 64 px")])
def test_pictures_that_never_reach_their_size_are_told(epochs: int, told: str | None) -> None:
    data = DataConfig(shards="somewhere", image_size=160, first_size=64, ramp=(0, 4))
    note = growth_note(RunConfig(data=data, optim=OptimConfig(epochs=epochs)))
    assert note is None if told is None else note is not None and told in note and "data.ramp=[0, 4]" in note
