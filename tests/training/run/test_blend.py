"""A run that trains on several datasets: told in YAML, gone on with, planned."""

import json
from itertools import islice
from pathlib import Path

import pytest

from support.datasets import picture_tree
from support.loaders import shard_loader
from support.membered import membered
from tarn.sharding.__main__ import main as sharding
from tarn.sharding.format.manifest import read_manifest
from tarn.sharding.packing.pack import PackConfig, pack
from tarn.training.__main__ import main
from tarn.training.coercion import load_config, to_yaml
from tarn.training.run.building import build_trainer
from tarn.training.run.config import RunConfig
from tarn.training.run.journal import Journal, JournalConfig
from tarn.training.run.network import network_of
from tarn.training.run.trace import Trace
from tarn.training.run.trainer import Trainer
from tarn.training.streaming.part import Part
from tarn.training.world.world import World

WORDS = [
    "--model.arch=resnet18", "--model.small_stem=true", "--data.image_size=16", "--data.eval_resize=18",
    "--data.lanes=2", "--data.active_shards=2", "--data.workers=0", "--optim.global_batch=6", "--optim.lr=0.01",
    "--optim.warmup_epochs=0", "--optim.epochs=2", "--journal.tensorboard=false", "--journal.keys=true",
    "--device=cpu", "--amp=off", "--export=last",
]  # fmt: skip


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a run on two datasets, 2 to 1."""
    root = tmp_path_factory.mktemp("blend")
    for name, each in (("a", 8), ("b", 4)):
        pack(picture_tree(root / f"pictures-{name}", train=each), str(root / name), PackConfig(shard_size=10_000))
    path = root / "blend.yaml"
    path.write_text(
        f"data:\n  shards: {root / 'a'}\n  blend:\n    - {{url: {root / 'a'}, weight: 2}}\n"
        f"    - {{url: {root / 'b'}, weight: 1, fraction: [0, 1], storage_options: {{secret: hidden}}}}\n"
    )
    return path


def trainer_of(config: Path, out: Path) -> Trainer:
    run = load_config(RunConfig, config, [*WORDS, f"--out={out}"])
    manifest = read_manifest(run.data.shards)
    trainer = build_trainer(run, World(), manifest, network_of(run, len(manifest.classes))[0])
    trainer.trace = Trace(out, World(), 0)
    return trainer


def ended(trainer: Trainer, out: Path) -> list[str]:
    """The keys of its steps."""
    assert trainer.trace is not None
    trainer.trace.file.close()
    trainer.train_loader.close()
    return [key for line in (out / "rank-0.jsonl").read_text().splitlines() for key in json.loads(line)["keys"]]


def test_a_run_of_parts_goes_on_in_the_middle_of_an_epoch_with_the_pictures_of_its_parts(
    config: Path, tmp_path: Path
) -> None:
    """Those that a ShardLoader gives; an epoch is a pass of the first part: 36 pictures, 6 steps."""
    parts = load_config(RunConfig, config, WORDS).data.blend
    loader = shard_loader(parts, global_batch=6, image_size=16, lanes=2, active_shards=2, num_workers=0, keys=True)
    undisturbed = [key for _ in range(2) for batch in loader for key in batch.keys]
    with Journal(tmp_path, JournalConfig(tensorboard=False), speaks=False) as journal:
        first = trainer_of(config, tmp_path / "first")
        assert len(list(islice(first.steps(journal), 4))) == 4
        second = trainer_of(config, tmp_path / "second")
        second.load_state_dict(first.state_dict())
        assert len(list(second.steps(journal))) == 2
        second.turn(None)
        assert len(list(second.steps(journal))) == 6
    assert ended(first, tmp_path / "first") + ended(second, tmp_path / "second") == undisturbed


def test_parts_are_written_with_the_run_but_for_secrets_and_read_back(config: Path) -> None:
    told = load_config(RunConfig, config, WORDS)
    text = to_yaml(told)
    assert "hidden" not in text
    again = config.with_name("again.yaml")
    again.write_text(text)
    parts = load_config(RunConfig, again, []).data.blend
    assert parts == (told.data.blend[0], Part(told.data.blend[1].url, weight=1, fraction=(0, 1), storage_options={}))


def test_a_plan_of_parts_tells_their_pictures(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "--config", str(config), *WORDS]) == 0
    told = capsys.readouterr().out
    assert "2 datasets: 36 pictures" in told
    assert "36 served in an epoch of 6 steps of 6" in told


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("--data.repeats=2", "data.repeats=2 is of data.shards"),
        ("--data.val_fraction=0.1", "data.val_fraction=0.1 is of data.shards"),
        ("--optim.class_weights=balanced", "class_weights='balanced' counts one dataset"),
        ("--data.blend=[{url: x, wait: 3}]", "the key 'data.blend.wait' is unknown"),
        ("--data.blend=[{weight: 3}]", "data.blend.url is not told"),
        ("--data.blend=[{url: x, fraction: much}]", "data.blend.fraction='much' is not a number"),
    ],
)
def test_settings_that_do_not_go_with_parts_are_refused(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], word: str, told: str
) -> None:
    assert main(["fit", "--config", str(config), *WORDS, word, f"--out={tmp_path}"]) == 2
    assert told in capsys.readouterr().err


def test_a_run_is_on_labels_of_which_there_are_some(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A part that was indexed with --label none has none, and of data.shards its list of classes alone is none."""
    bare, named = membered(tmp_path / "bare", count=12), tmp_path / "named"
    (tmp_path / "classes.txt").write_text("cat\ndog\n")
    told = ["index", str(bare), "--out", str(named), "--label", "none", "--picture", "jpg", "--overwrite"]
    assert sharding([*told, "--classes", str(tmp_path / "classes.txt")]) == 0
    assert "2 classes. Next: ShardLoader(..., fields=...)" in capsys.readouterr().out
    for word in (f"--data.blend=[{{url: {bare}, weight: 1}}]", f"--data.shards={named}"):
        assert main(["fit", "--config", str(config), *WORDS, word, f"--out={tmp_path / 'run'}"]) == 2
        assert "has no classes (it was made with --label none)" in capsys.readouterr().err
