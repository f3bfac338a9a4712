from pathlib import Path

import pytest
import yaml

from tarn.training.__main__ import main
from tarn.training.forecast.curve import ROWS, plot


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
    lines = plot([0.0, 0.5, 1.0, 0.5, 0.0], 1.0).splitlines()
    assert len(lines) == ROWS
    bars = [line.split("|")[1].ljust(5) for line in lines]
    heights = [sum(line[at] != " " for line in bars) for at in range(5)]
    assert heights == [0, ROWS // 2, ROWS, ROWS // 2, 0]
    assert lines[0].split()[0] == "1"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--model.arch=resnet19"], "did you mean resnet18"),
        (["--model.arch=torchvision/inception_v3"], "auxiliary logits"),
        (["--model.arch=torchvision/resnet18", "--model.blurpool=true"], "model.blurpool is of our own ResNets"),
        (["--model.freeze=[conv9]"], "the network has no part 'conv9'"),
        (["--data.val_split=valid"], "data.val_split='valid' is not in"),
        (["--data.train_split=trian"], "split 'trian' is not in this dataset, name one that is: train"),
        (["--device=gpu"], "device='gpu' is unknown"),
    ],
)
def test_a_dry_run_refuses_what_a_run_would(
    words: list[str], told: str, shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base = [f"--data.shards={shards}", f"--out={tmp_path / 'run'}", "--optim.global_batch=20", "--data.image_size=32"]
    assert main(["fit", "--dry-run", *base, *words]) == 2
    assert told in capsys.readouterr().err
