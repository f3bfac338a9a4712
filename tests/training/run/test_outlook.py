from pathlib import Path

import pytest
import yaml

from tarn.training.__main__ import main
from tarn.training.forecast.outlook import ROWS, plot


def test_a_dry_run_prints_the_recipe_its_schedule_and_its_cost_and_leaves_nothing(
    shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--optim.epochs=3", "--optim.global_batch=20", "--optim.lr=0.1", "--optim.lr_for_batch=40"]
    assert main(["fit", "--dry-run", f"--data.shards={shards}", f"--out={tmp_path / 'run'}", *words]) == 0
    recipe, schedule, cost = capsys.readouterr().out.split("\n\n", 2)
    assert yaml.safe_load(recipe)["optim"]["global_batch"] == 20
    assert "peak 0.05 = optim.lr 0.1 x global_batch 20 / lr_for_batch 40" in schedule
    assert "bottleneck" in cost
    assert list(tmp_path.iterdir()) == []


def test_a_plot_rises_and_falls_with_its_values() -> None:
    lines = plot([0.0, 0.5, 1.0, 0.5, 0.0]).splitlines()
    assert len(lines) == ROWS
    bars = [line.split("|")[1].ljust(5) for line in lines]
    heights = [sum(line[at] != " " for line in bars) for at in range(5)]
    assert heights == [0, ROWS // 2, ROWS, ROWS // 2, 0]
    assert lines[0].split()[0] == "1"
