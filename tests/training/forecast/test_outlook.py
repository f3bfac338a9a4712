import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from support.checkout import ROOT
from tarn.training.__main__ import main


def dry(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["fit", "--dry-run", *words]) == 0
    return capsys.readouterr().out


def test_a_dry_run_prints_the_recipe_its_schedule_and_its_cost_and_leaves_nothing(
    shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--optim.epochs=3", "--optim.global_batch=20", "--optim.lr=0.1", "--optim.lr_for_batch=40"]
    words += ["--model.arch=resnet18", "--data.image_size=64", "--optim.warmup_epochs=1"]
    told = dry(capsys, f"--data.shards={shards}", f"--out={tmp_path / 'run'}", *words)
    recipe, schedule, cost = told.split("\n\n", 2)
    assert yaml.safe_load(recipe)["optim"]["global_batch"] == 20
    assert "peak 0.05 = optim.lr 0.1 x global_batch 20 / lr_for_batch 40" in schedule
    assert "bottleneck" in cost
    assert "the run takes at least" in cost
    assert list(tmp_path.iterdir()) == []


def test_what_is_assumed_can_be_told_and_only_to_a_dry_run(
    shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base = [f"--data.shards={shards}", "--optim.global_batch=20", "--model.arch=resnet18", "--data.image_size=32"]
    told = dry(capsys, *base, "--device=cuda", "--compute=2", "--ranks=4", "--cores=3", "--decode=7")
    assert "training, 32 px       15.0 s" in told  # 120 pictures
    assert "decoding              5.7 s" in told
    assert main(["fit", *base, f"--out={tmp_path / 'run'}", "--cores=3"]) == 2
    assert "--cores=3 is for the forecast of --dry-run" in capsys.readouterr().err
    refused = {"--cores=0": "--cores=0 must be above 0", "--hosts=2": "--ranks=1 must be a multiple of --hosts=2"}
    for word, sentence in refused.items():
        assert main(["fit", "--dry-run", *base, word]) == 2
        assert sentence in capsys.readouterr().err


@pytest.mark.parametrize("config", ["imagenet_resnet50_16ep", "cifar10_resnet18"])
def test_a_recipe_whose_data_are_not_there_is_told_with_the_numbers_of_its_dataset(
    config: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = ROOT / "configs" / f"{config}.yaml"
    monkeypatch.chdir(tmp_path)
    told = dry(capsys, "--config", str(path))
    recipe = yaml.safe_load(told.split("\n\n")[0])
    shards, batch, epochs = recipe["data"]["shards"], recipe["optim"]["global_batch"], recipe["optim"]["epochs"]
    pictures = {"build/imagenet": 1_281_167, "build/cifar10": 50_000}[shards]
    assert f"`make shards DATA=path/to/pictures SHARDS={shards}` does so, --data.shards names another" in told
    assert f"assumed below are the {pictures:,} training pictures" in told
    assert f"{pictures // batch * epochs:,} steps" in told
    assert "the run takes at least" in told


def test_data_that_are_not_there_and_not_known_leave_recipe_and_schedule(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = dry(capsys, f"--data.shards={tmp_path / 'mine'}", "--optim.epochs=20", "--optim.warmup_epochs=30")
    assert told.startswith("out: ")
    assert "--data.shards names another dataset; the schedule is told by epochs" in told
    assert "learning rate, cosine, 20 epochs" in told
    assert "never reaches its peak" in told
    assert "bottleneck" not in told


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


@pytest.mark.parametrize("word", ["--help", "--optim.lrr=1", "--data.image_size=big", "--speed.compile=fast"])
def test_help_and_mistyped_words_are_answered_without_torch(word: str, tmp_path: Path) -> None:
    code = (
        "import sys\nfrom tarn.training.__main__ import main\n"
        f"try:\n    main(['fit', {word!r}])\nexcept SystemExit:\n    pass\n"
        "sys.exit(42 if 'torch' in sys.modules else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert word.partition("=")[0].removeprefix("--") in done.stdout + done.stderr
