"""Poison that no training loss shows, for running statistics are used in validation alone."""

from pathlib import Path
from typing import Any

import pytest

from support.runs import fit
from tarn.training.model.resnet import ResNet, build_model


@pytest.mark.parametrize("name", ["bn1.running_var", "layer3.0.bn2.running_mean"])
def test_statistics_that_are_not_finite_are_told_at_the_first_save_and_not_kept(
    name: str, shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def build(*words: Any, **more: Any) -> ResNet:
        model = build_model(*words, **more)
        model.get_buffer(name)[0] = float("nan")
        return model

    monkeypatch.setattr("tarn.training.run.fit.build_model", build)
    fit(shards, tmp_path, expected=1)
    assert f"the model has diverged by step 3 ({name} is not finite)" in capsys.readouterr().err
    assert list((tmp_path / "checkpoints").iterdir()) == []
