"""The whole way, by the commands that people type, in real processes."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from support.commands import assert_same_weights, command, processes_of, run, stop_at
from tarn.training.__main__ import main

PIPELINE = [
    "--model.arch=resnet18",
    "--data.image_size=32",
    "--data.eval_resize=36",
    "--data.lanes=4",
    "--data.active_shards=4",
    "--optim.epochs=2",
    "--optim.global_batch=20",
    "--optim.micro_batch=8",
    "--optim.lr=0.02",
    "--optim.warmup_epochs=1",
    "--checkpoint.every_steps=4",
    "--journal.tensorboard=false",
    "--eval_batch=16",
    "--device=cpu",
    "--seed=3",
]


def fit(shards: Path, run_folder: Path, *more: str) -> list[str]:
    return ["training", "fit", f"--data.shards={shards}", f"--out={run_folder}", *PIPELINE, *more]


@pytest.fixture(scope="module")
def whole(shards: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two ranks that nothing interrupted."""
    folder = tmp_path_factory.mktemp("runs") / "whole"
    run(2, *fit(shards, folder))
    return folder


def test_two_ranks_killed_mid_epoch_and_resumed_end_with_the_same_weights(
    shards: Path, whole: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "killed"
    assert stop_at(8, signal.SIGKILL, 2, fit(shards, folder), folder) == -signal.SIGKILL
    assert not (folder / "model.pt").exists()
    told = run(2, *fit(shards, folder))
    assert "Going on after step" in told
    assert_same_weights(whole, folder)
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    epochs = [line["epoch"] for line in lines if line["kind"] == "epoch"]
    assert epochs == [0, 1]


def test_one_process_asked_to_stop_saves_and_goes_on_to_the_same_weights(shards: Path, tmp_path: Path) -> None:
    run(1, *fit(shards, tmp_path / "whole"))
    folder = tmp_path / "stopped"
    assert stop_at(4, signal.SIGTERM, 1, fit(shards, folder), folder) == 128 + signal.SIGTERM
    run(1, *fit(shards, folder, "--data.workers=0"))
    assert_same_weights(tmp_path / "whole", folder)


def test_a_run_with_all_augmentation_killed_mid_epoch_goes_on_to_the_same_weights(shards: Path, tmp_path: Path) -> None:
    augment = ("mixup=0.2", "cutmix=1.0", "mix_probability=0.8", "policy=randaugment", "erase=0.5")
    words = ("--optim.epochs=1", "--checkpoint.every_steps=2", "--data.workers=0", "--optim.label_smoothing=0.1")
    words += tuple(f"--augment.{word}" for word in augment)
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert main(fit(shards, whole, *words)[1:]) == 0
    assert stop_at(2, signal.SIGKILL, 1, fit(shards, killed, *words), killed) == -signal.SIGKILL
    assert not (killed / "model.pt").exists()
    assert main(fit(shards, killed, *words)[1:]) == 0
    assert_same_weights(whole, killed)


@pytest.mark.parametrize(("ranks", "number"), [(1, signal.SIGKILL), (1, signal.SIGTERM), (2, signal.SIGTERM)])
def test_a_run_stopped_in_its_validation_has_kept_the_epoch_and_validates_when_it_goes_on(
    shards: Path, tmp_path: Path, ranks: int, number: signal.Signals
) -> None:
    folder, words = tmp_path / "stopped", ("--optim.epochs=1", "--eval_batch=1")
    marker = folder / "checkpoints" / "step-00000006.json"
    said = tmp_path / "said"
    with said.open("w") as out:
        process = subprocess.Popen(command(ranks, *fit(shards, folder, *words)), stdout=out, stderr=out)
    deadline = time.monotonic() + 200
    while not marker.exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.002)
    for victim in processes_of(folder):
        if ranks == 1 or victim != process.pid:  # the launcher would wait before it tells the ranks
            os.kill(victim, number)
    code = process.wait()
    assert code == (-number if number == signal.SIGKILL else 128 + number), said.read_text()
    assert "figures" not in json.loads(marker.read_text())
    assert not (folder / "model.pt").exists()
    run(ranks, *fit(shards, folder, *words))
    told = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    (line,) = (line for line in told if line["kind"] == "epoch")
    figures = json.loads(marker.read_text())["figures"]
    assert {name: line[name] for name in figures} == figures
    assert (folder / "model.pkl").exists()


def test_a_complete_run_says_so_and_changes_nothing(shards: Path, whole: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in whole.rglob("*.pt")}
    assert "The run is complete" in run(2, *fit(shards, whole))
    assert {path: path.stat().st_mtime_ns for path in whole.rglob("*.pt")} == before


@pytest.mark.parametrize(("split", "samples"), [("train", 120), ("val", 40)])
def test_what_evaluate_scores_stands_beside_the_runs_own(shards: Path, whole: Path, split: str, samples: int) -> None:
    before = (whole / "evaluation.json").read_bytes()
    words = (f"--model={whole / 'model.pt'}", f"--shards={shards}", f"--split={split}", "--device=cpu")
    run(1, "training", "evaluate", *words)
    assert (whole / "evaluation.json").read_bytes() == before
    told = json.loads((whole / f"evaluation-{split}.json").read_text())
    assert (told["split"], told["samples"]) == (split, samples)
    assert (whole / f"evaluation-{split}-per-class.csv").exists()


def test_evaluation_on_one_two_and_three_ranks_counts_the_same_as_the_last_validation(
    shards: Path, whole: Path, tmp_path: Path
) -> None:
    trained = json.loads((whole / "evaluation.json").read_text())
    for ranks in (1, 2, 3):
        out = tmp_path / str(ranks)
        run(ranks, "training", "evaluate", f"--model={whole / 'model.pt'}", f"--shards={shards}", f"--out={out}",
            "--batch-size=7", "--device=cpu")  # fmt: skip
        report = json.loads((out / "evaluation.json").read_text())
        for name in ("samples", "top1_count", "top5_count"):
            assert report[name] == trained[name]
        assert report["loss"] == pytest.approx(trained["loss"], rel=1e-5)
    assert trained["samples"] == 40
    table = (whole / "evaluation-per-class.csv").read_text().splitlines()
    assert table[0] == "index,wnid,name,samples,top1,top5"
    assert [row.split(",")[-3] for row in table[1:]] == ["4"] * 10


def test_the_export_of_a_checkpoint_is_the_model_of_the_run_and_predicts(
    shards: Path, whole: Path, pictures: Path, tmp_path: Path
) -> None:
    run(1, "training", "export", f"--checkpoint={whole}", f"--out={tmp_path}")
    assert_same_weights(whole, tmp_path)
    names = sorted((pictures / "ILSVRC" / "Data" / "CLS-LOC" / "val").iterdir())[:3]
    told = run(1, "inference", "predict", str(tmp_path / "model.pkl"), *map(str, names), "--format=json")
    assert [len(each["predictions"]) for each in json.loads(told)] == [5, 5, 5]


def test_the_run_folder_holds_config_metrics_log_and_the_last_checkpoints(whole: Path) -> None:
    assert "global_batch: 20" in (whole / "config.yaml").read_text()
    log = (whole / "train.log").read_text()
    assert "train loss" in log
    assert log.count("img/s") == 1
    steps = sorted(path.stem for path in (whole / "checkpoints").glob("*.pt"))
    assert steps[-1] == "step-00000012"
    assert 3 <= len(steps) <= 4


def assert_one_sentence(code: int, error: str, told: str, run_folder: Path) -> None:
    assert code in (1, 2)
    assert told in error
    assert error.count("\n") == 1
    assert not run_folder.exists()


def test_a_mistake_ends_a_process_in_one_sentence(shards: Path, tmp_path: Path) -> None:
    words = fit(shards, tmp_path / "run", "--optim.lrr=1")
    done = subprocess.run(command(1, *words), capture_output=True, text=True, check=False)
    assert_one_sentence(done.returncode, done.stderr, "'optim.lrr' is unknown", tmp_path / "run")


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("--data.shards=nowhere", "nowhere holds no packed dataset"),
        ("--model.arch=vgg16", "vgg16"),
        ("--amp=fp8", "amp='fp8'"),
    ],
)
def test_other_mistakes_end_so_too(
    shards: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], word: str, told: str
) -> None:
    code = main(fit(shards, tmp_path / "run", word)[1:])
    assert_one_sentence(code, capfd.readouterr().err, told, tmp_path / "run")
