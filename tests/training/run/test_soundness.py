"""Poison that no training loss shows, for running statistics are used in validation alone."""

from pathlib import Path
from typing import Any

import pytest
from torch import nn

from support.runs import fit
from tarn.training.run.network import network_of


@pytest.mark.parametrize("name", ["bn1.running_var", "layer3.0.bn2.running_mean"])
def test_statistics_that_are_not_finite_are_told_at_the_first_save_and_not_kept(
    name: str, shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def poisoned(*words: Any) -> tuple[nn.Module, list[str]]:
        model, said = network_of(*words)
        model.get_buffer(name)[0] = float("nan")
        return model, said

    monkeypatch.setattr("tarn.training.run.fit.network_of", poisoned)
    fit(shards, tmp_path, expected=1)
    error = capsys.readouterr().err
    assert f"the model has diverged by step 3 ({name} is not finite)" in error
    assert "there is no checkpoint from before" in error
    assert list((tmp_path / "checkpoints").iterdir()) == []
