from pathlib import Path

import pytest
import yaml

from support.checkout import ROOT
from tarn.sharding.errors import UsageError
from tarn.training.coercion import load_config, to_yaml
from tarn.training.run.changes import settled
from tarn.training.run.config import RunConfig

CONFIGS = sorted((ROOT / "configs").glob("*.yaml"))


def write(folder: Path, text: str) -> Path:
    path = folder / "run.yaml"
    path.write_text(text)
    return path


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_shipped_config_is_valid_and_says_how_to_run_it(path: Path) -> None:
    config = load_config(RunConfig, path, [])
    assert config.out == f"runs/{path.stem}"
    head = path.read_text().split("\nout:")[0]
    for word in ("make shards", "make train", "# Source: ", "# Expected: ", "# Hardware: ", "# Time: "):
        assert word in head
    time = head.split("# Time: ")[1]
    assert "GPU hours" in time or "CPU" in head  # of what is made for GPUs
    assert any(word in time for word in (" there", "computed", "measured"))  # whose figure it is


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_shipped_rate_is_told_for_its_batch_and_grows_with_it(path: Path) -> None:
    told = load_config(RunConfig, path, []).optim
    assert told.peak_lr == told.lr or path.stem == "imagenet_resnet50_90ep"  # told for 256, run with 1024
    twice = load_config(RunConfig, path, [f"--optim.global_batch={2 * told.global_batch}"]).optim
    assert twice.peak_lr == pytest.approx(2 * told.peak_lr)


def test_command_line_beats_file_beats_default(tmp_path: Path) -> None:
    file = write(tmp_path, "seed: 4\noptim:\n  lr: 5e-5\n  epochs: 7\n")
    config = load_config(RunConfig, file, ["--optim.epochs=9", "--data.augment.scale=[0.5, 1]", "--amp=off"])
    assert (config.seed, config.optim.lr, config.optim.epochs) == (4, 5e-5, 9)
    assert config.data.augment.scale == (0.5, 1.0)
    assert config.amp == "off"
    assert config.optim.momentum == RunConfig().optim.momentum


def test_the_saved_config_reads_back_equal(tmp_path: Path) -> None:
    config = load_config(RunConfig, None, ["--optim.micro_batch=null", "--data.workers=3", "--model.arch=resnet18"])
    assert load_config(RunConfig, write(tmp_path, to_yaml(config)), []) == config


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("optim:\n  lrr: 1\n", r"run\.yaml.*'optim\.lrr'.*lr"),
        ("optim: 3\n", r"optim=3"),
        ("optim:\n  lr: fast\n", r"optim\.lr='fast'.*number"),
        ("optim:\n  epochs: 1.5\n", r"optim\.epochs=1\.5.*whole number"),
        ("channels_last: 1\n", r"channels_last=1.*true or false"),
        ("device: gpu\n", r"device='gpu'.*auto, cpu, cuda, mps"),
        ("amp: fp32\n", r"amp='fp32'.*auto, off, bf16, fp16"),
        ("eval_amp: bf17\n", r"^eval_amp='bf17'.*auto, off, bf16, fp16"),
        ("optim:\n  micro_batch: aut\n", r"optim\.micro_batch='aut' is not a whole number, auto or null"),
        ("optim:\n  early_stop: true\n", r"optim\.early_stop=True is not a whole number or null"),
        ("optim:\n  lr_end: 5\n", r"lr_end=5.*at most the peak, 0\.1"),
        ("data:\n  mean: [124, 116, 104]\n", r"data\.mean=\[124.*between 0 and 1.*255"),
        ("data:\n  mean: [1, 2]\n", r"data\.mean=\[1, 2\].*3 values"),
        ("- a\n", r"run\.yaml.*list"),
        ("a: [", r"run\.yaml.*not YAML"),
        ("data:\n  eval_resize: 100\n", r"eval_resize=100"),
        ("optim:\n  schedule: slow\n", r"schedule='slow'.*cosine"),
        ("optim:\n  max_steps: -3\n", r"max_steps=-3.*at least 1"),
        ("optim:\n  max_steps: 0\n", r"max_steps=0.*at least 1"),
        ("optim:\n  momentum: -0.1\n  nesterov: false\n", r"momentum=-0\.1"),
        ("optim:\n  momentum: 1.5\n", r"momentum=1\.5"),
        ("optim:\n  weight_decay: .nan\n", r"weight_decay=nan"),
        ("optim:\n  weight_decay: -1\n", r"weight_decay=-1"),
        ("optim:\n  warmup_epochs: .nan\n", r"warmup_epochs=nan"),
        ("optim:\n  lr_end: -0.5\n", r"lr_end=-0\.5"),
        ("optim:\n  lr_for_batch: -256\n", r"lr_for_batch=-256"),
        ("optim:\n  patience: -5\n", r"patience=-5"),
        ("optim:\n  optimizer: adam\n", r"optimizer='adam'.*sgd, adamw, lamb"),
        ("optim:\n  betas: [0.9, 1.0]\n", r"betas=\[0\.9, 1\.0\]"),
        ("optim:\n  clip_norm: 0\n", r"clip_norm=0.*above 0"),
        ("optim:\n  loss: mse\n", r"loss='mse'.*bce"),
        ("optim:\n  bce_threshold: 0.2\n", r"bce_threshold=0\.2 needs optim\.loss=bce"),
        ("optim:\n  class_weights: true\n", r"class_weights='on'.*balanced"),
        ("optim:\n  warmup_start: 2\n", r"warmup_start=2.*at most 1"),
        ("optim:\n  backbone_lr: 0\n", r"backbone_lr=0.*above 0"),
        ("optim:\n  ema_decay: 1\n", r"ema_decay=1.*below 1"),
        ("optim:\n  ema_every: 0\n", r"ema_every=0.*at least 1"),
        ("optim:\n  early_stop: 0\n", r"early_stop=0.*at least 1"),
        ("export_formats: [pt, onx]\n", r"export_formats=onx is unknown: choose from pt, pkl, safetensors, pt2, onnx"),
        ("export_formats: pt,onnx\n", r"export_formats='pt,onnx' is not a list, such as \[a, b\]"),
        ("export_formats: []\n", r"export_formats= is unknown: choose from pt"),
        (
            "export_formats: [openvino-int8]\ndata: {val_fraction: 0.1}\n",
            r"export_formats=openvino-int8 is scored on a split, and data\.val_fraction",
        ),
        ("export: newest\n", r"export='newest'.*last, best, averaged"),
        ("export: averaged\n", r"export='averaged'.*optim\.ema_decay"),
        ("seed: 100000000000000000000\n", r"seed=100000000000000000000"),
        ("out: s3://bucket/run\n", r"out='s3://bucket/run'.*local folder"),
        ("checkpoint:\n  every_minutes: 0\n", r"every_minutes=0.*above 0"),
        ("checkpoint:\n  keep_last: 1\n", r"keep_last=1.*at least 2"),
        ("data:\n  augment:\n    crop: squashed\n", r"crop='squashed'.*padded"),
        ("augment:\n  mixup: -1\n", r"augment\.mixup=-1.*at least 0"),
        ("augment:\n  cutmix: .inf\n", r"augment\.cutmix=inf"),
        ("augment:\n  mix_probability: 1.1\n", r"augment\.mix_probability=1\.1.*between 0 and 1"),
        ("augment:\n  erase: .nan\n", r"augment\.erase=nan"),
        ("augment:\n  policy: autoaugment\n", r"augment\.policy='autoaugment'.*trivialaugment"),
        ("augment:\n  policy_ops: 0\n", r"augment\.policy_ops=0.*augment\.policy=none"),
        ("augment:\n  policy_magnitude: 31\n", r"augment\.policy_magnitude=31.*30"),
    ],
)
def test_a_mistake_is_told_with_key_and_value(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        load_config(RunConfig, write(tmp_path, text), [])


@pytest.mark.parametrize("word", ["--optim.lr", "optim.lr=1", "--=1", "--optim.lr.x=1", "--nothing=1"])
def test_a_mistaken_override_is_refused(tmp_path: Path, word: str) -> None:
    with pytest.raises(UsageError):
        load_config(RunConfig, write(tmp_path, "optim: {lr: 1}\n"), [word])


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("--lr=1", "optim.lr"),
        ("--optim.learning_rte=1", None),
        ("--optim.epoch=1", "optim.epochs"),
        ("--data.batch_size=64", None),
        ("--optim.global-batch=64", "optim.global_batch"),
        ("--data.agument.flip=0", "data.augment"),
        ("--speed.tf23=true", "speed.tf32"),
    ],
)
def test_an_unknown_key_is_told_with_the_one_that_was_meant(word: str, meant: str | None) -> None:
    with pytest.raises(UsageError, match="is unknown, known here are") as caught:
        load_config(RunConfig, None, [word])
    assert str(caught.value).partition(" Was ")[2] == (f"{meant!r} meant?" if meant else "")


def test_a_file_that_cannot_be_read_is_named_once(tmp_path: Path) -> None:
    for path, told in ((tmp_path / "nowhere.yaml", "is not there"), (tmp_path, "cannot be read (Is a directory)")):
        with pytest.raises(UsageError) as caught:
            load_config(RunConfig, path, [])
        assert str(caught.value) == f"the config {path} {told}: give an existing YAML file."


@pytest.mark.parametrize(
    ("words", "resize"),
    [
        (["--data.image_size=224"], 256),
        (["--data.image_size=64"], 73),
        (["--data.image_size=176", "--data.eval_crop=224"], 256),
        (["--data.image_size=64", "--data.eval_resize=72"], 72),
    ],
)
def test_a_picture_is_evaluated_at_eight_sevenths_of_its_crop_where_nothing_else_is_told(
    words: list[str], resize: int
) -> None:
    assert load_config(RunConfig, None, words).data.preprocessing.resize == resize


def test_a_run_keeps_the_size_that_it_was_begun_with(tmp_path: Path) -> None:
    """As an earlier Tarn wrote config.yaml, whose default was 256 for every size."""
    words = ["--data.image_size=128", f"--out={tmp_path}"]
    assert settled(load_config(RunConfig, None, words)).data.eval_resize == 146
    begun = load_config(RunConfig, None, [*words, "--data.eval_resize=256"])
    (tmp_path / "config.yaml").write_text(to_yaml(begun))
    assert settled(load_config(RunConfig, None, words)) == begun
    assert settled(load_config(RunConfig, None, [*words, "--data.eval_crop=160"])).data.eval_resize == 182
    assert settled(load_config(RunConfig, None, [*words, "--data.eval_resize=140"])).data.eval_resize == 140


def test_the_seed_recipe_is_the_one_of_its_document() -> None:
    told = yaml.safe_load((CONFIGS[0].parent / "seed_resnet50_110ep.yaml").read_text())["optim"]
    assert (told["epochs"], told["global_batch"], told["lr"], told["momentum"]) == (110, 5120, 0.05, 0.9)
    assert (told["schedule"], told["factor"], told["patience"]) == ("plateau", 0.5, 3)


def test_a_tilde_in_the_run_folder_is_the_home_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert load_config(RunConfig, None, ["--out=~/runs/x"]).out == f"{tmp_path}/runs/x"
    assert RunConfig().out == "runs/default"
