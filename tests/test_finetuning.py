"""Fine-tuning, the whole way: somebody else's weights, five classes, a frozen beginning, a kill, an export."""

import importlib.util
import json
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision

from support.checkout import ROOT
from support.commands import assert_same_weights, run, stop_at, weights
from support.datasets import picture_tree
from tarn.inference.__main__ import main as inference
from tarn.sharding.errors import UsageError
from tarn.sharding.packing.pack import PackConfig, pack
from tarn.training.__main__ import main
from tarn.training.coercion import load_config
from tarn.training.pixels.preprocessing import Preprocessing
from tarn.training.run.config import RunConfig

WORDS = [
    "--data.image_size=64", "--data.eval_resize=72", "--data.lanes=2", "--data.active_shards=4", "--data.workers=0",
    "--optim.epochs=1", "--optim.global_batch=10", "--optim.lr=0.02", "--optim.warmup_epochs=0.5", "--eval_batch=10",
    "--journal.tensorboard=false", "--device=cpu", "--amp=off", "--seed=3",
]  # fmt: skip


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return picture_tree(tmp_path_factory.mktemp("five") / "pictures", classes=5)


@pytest.fixture(scope="module")
def five(pictures: Path) -> Path:
    """Five classes, packed."""
    pack(pictures, str(pictures.parent / "shards"), PackConfig())
    return pictures.parent / "shards"


def timms_state() -> dict[str, torch.Tensor]:
    import timm

    return timm.create_model("test_resnet", num_classes=20).state_dict()  # type: ignore[no-any-return]


NETWORKS: dict[str, tuple[Any, str, list[str]]] = {
    "torchvision/resnet18": (lambda: torchvision.models.resnet18().state_dict(), "fc", ["conv1", "bn1", "layer1"]),
    "timm/test_resnet": (timms_state, "fc", ["conv1", "bn1", "layer1"]),
}
needs_timm = pytest.mark.skipif(importlib.util.find_spec("timm") is None, reason="timm is not installed")


@pytest.mark.parametrize("arch", ["torchvision/resnet18", pytest.param("timm/test_resnet", marks=needs_timm)])
def test_a_network_of_a_library_is_fine_tuned_killed_resumed_exported_and_predicts(
    arch: str, five: Path, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make, head, frozen = NETWORKS[arch]
    given = make()
    torch.save(given, tmp_path / "weights.pth")
    words = ["training", "fit", f"--data.shards={five}", f"--model.arch={arch}"]
    words += [f"--model.init={tmp_path / 'weights.pth'}"]
    words += [f"--model.freeze={frozen}", *WORDS]

    said = run(1, *words, f"--out={tmp_path / 'whole'}")
    assert f"Begun from {tmp_path / 'weights.pth'}: " in said
    assert f"Left in the file: {head}.weight, {head}.bias." in said
    assert f"New, drawn from the seed: {head}.weight (5 x " in said
    learnt = weights(tmp_path / "whole")
    moved = {name for name in given if not torch.equal(given[name], learnt[name])}
    assert not {name for name in moved if name.startswith(tuple(f"{part}." for part in frozen))}  # statistics too
    assert {f"{head}.weight", "layer2.0.conv1.weight", "layer2.0.bn1.running_mean"} <= moved

    killed = tmp_path / "killed"
    words += [f"--out={killed}", "--checkpoint.every_steps=1"]
    assert stop_at(2, signal.SIGKILL, 1, words, killed) == -signal.SIGKILL
    (tmp_path / "weights.pth").unlink()  # not read again
    said = run(1, *words)
    assert "Going on after step" in said
    assert "Begun from" not in said
    assert_same_weights(tmp_path / "whole", killed)

    for file in ("model.pt", "model.pkl"):
        picture = str(next((pictures / "val").rglob("*.jpg")))
        assert inference(["predict", str(killed / file), picture, "--format=json"]) == 0
        (told,) = json.loads(capsys.readouterr().out)
        assert [guess["wnid"] for guess in told["predictions"]] != []
        assert sum(guess["probability"] for guess in told["predictions"]) == pytest.approx(1, abs=1e-5)


def test_the_shipped_recipe_needs_a_train_folder_alone_and_exports_the_best_weights_of_a_run_that_it_ends(
    pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pack(pictures, str(tmp_path / "alone"), PackConfig(split="train"))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        torch.save(torchvision.models.resnet18().state_dict(), tmp_path / "weights.pth")
    config = ROOT / "configs" / "finetune_resnet18.yaml"
    told = load_config(RunConfig, config, [])
    assert (told.export, told.optim.class_weights, told.optim.early_stop) == ("best", "balanced", 5)
    assert told.optim.backbone_lr < 1
    words = ["fit", f"--config={config}", f"--data.shards={tmp_path / 'alone'}", f"--out={tmp_path / 'run'}", *WORDS]
    more = [f"--model.init={tmp_path / 'weights.pth'}", "--optim.epochs=9", "--optim.early_stop=1", "--optim.lr=1e-9"]
    assert main([*words, *more]) == 0  # at such a rate an epoch is soon no better than the one before
    said = capsys.readouterr().out
    assert "The run stopped early at epoch " in said
    assert "Exported the best weights (step " in said
    held_out = json.loads((tmp_path / "run" / "evaluation.json").read_text())
    assert held_out["split"] == "0.2 of train"
    assert 0 < held_out["samples"] < 40


def test_what_a_network_draws_itself_goes_on_after_a_stop(
    five: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    skipping = ["--model.arch=resnet18", "--model.stochastic_depth=0.5", "--model.blurpool=true"]
    words = ["fit", f"--data.shards={five}", *skipping, *WORDS]
    assert main([*words, f"--out={tmp_path / 'whole'}"]) == 0
    torch.manual_seed(99)  # whatever ran before in the process
    assert main([*words, f"--out={tmp_path / 'stopped'}", "--optim.max_steps=3"]) == 0
    torch.manual_seed(100)
    assert main([*words, f"--out={tmp_path / 'stopped'}"]) == 0
    assert "Going on after step 3" in capsys.readouterr().out
    assert_same_weights(tmp_path / "whole", tmp_path / "stopped")


def test_validation_evaluation_and_prediction_see_the_mirror_image_where_asked(
    five: Path, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, one = tmp_path / "run", ["--optim.epochs=1", "--eval_flip=true", "--model.arch=resnet18"]
    assert main(["fit", f"--data.shards={five}", f"--out={folder}", *WORDS, *one]) == 0
    own = json.loads((folder / "evaluation.json").read_text())
    assert own["flip"] is True
    command = ["evaluate", f"--model={folder / 'model.pt'}", f"--shards={five}", "--device=cpu", "--workers=0"]
    assert main([*command, "--flip"]) == 0
    assert main([*command, "--image-size=96"]) == 0
    assert main([*command, f"--out={tmp_path / 'plain'}"]) == 0
    assert json.loads((folder / "evaluation.json").read_text()) == own  # others stand beside it
    flipped = json.loads((folder / "evaluation-flip.json").read_text())
    larger = json.loads((folder / "evaluation-96px-of-108px.json").read_text())
    plain = json.loads((tmp_path / "plain" / "evaluation.json").read_text())
    assert flipped["loss"] == pytest.approx(own["loss"], rel=1e-5)
    assert len({round(each["loss"], 6) for each in (flipped, larger, plain)}) == 3
    assert (larger["image_size"], larger["resize"]) == (96, 108)
    capsys.readouterr()
    picture, told = str(next((pictures / "val").rglob("*.jpg"))), []
    for more in ([], ["--flip"], ["--image-size=96"], ["--resize=64"]):
        assert inference(["predict", str(folder / "model.pt"), picture, "--format=json", *more]) == 0
        told.append(json.loads(capsys.readouterr().out)[0]["predictions"][0]["probability"])
    assert len(set(told)) == 4


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--model.arch=torchvision/resnet8"], "unknown to torchvision: did you mean torchvision/resnet"),
        (
            ["--model.arch=torchvision/vit_b_32", "--data.eval_crop=32"],
            "with pictures of 64 px: the network does not take such",
        ),
        (["--model.arch=resnet18", "--model.init=nowhere.pt"], "model.init=nowhere.pt is not there"),
        (["--model.arch=resnet18", "--model.freeze=[conv9]"], "has no part 'conv9'"),
        (["--model.arch=resnet18", "--model.stochastic_depth=1"], "model.stochastic_depth=1.0"),
    ],
)
def test_a_mistake_is_told_in_one_sentence_before_there_is_a_run(
    words: list[str], told: str, five: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["fit", f"--data.shards={five}", f"--out={tmp_path / 'run'}", *WORDS, *words]) == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("crop", "resize"), [(0, None), (None, 10), (80, 70)])
def test_sizes_that_make_no_picture_are_refused_in_the_words_of_the_command(
    crop: int | None, resize: int | None
) -> None:
    with pytest.raises(UsageError, match=r"--image-size=\d+ and --resize=\d+ make no picture"):
        Preprocessing(resize=72, crop=64).at(crop, resize)
