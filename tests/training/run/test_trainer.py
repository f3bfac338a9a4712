import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tarn.sharding.format.manifest import read_manifest
from tarn.training.coercion import load_config
from tarn.training.recipe.moment import Moment
from tarn.training.run.building import build_trainer
from tarn.training.run.config import RunConfig
from tarn.training.run.journal import Journal, JournalConfig
from tarn.training.run.memory import Room
from tarn.training.run.network import network_of
from tarn.training.streaming.randomness import mixed
from tarn.training.world.world import World


def test_each_part_is_augmented_by_its_samples_places_in_the_epoch(
    shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = {"out": tmp_path, "device": "cpu", "amp": "off", "model.arch": "resnet18", "data.shards": shards,
            "data.image_size": 32, "data.eval_resize": 36, "data.workers": 0, "optim.global_batch": 60,
            "optim.micro_batch": 25, "augment.policy": "trivialaugment", "augment.mixup": 0.2}  # fmt: skip
    config = load_config(RunConfig, None, [f"--{key}={value}" for key, value in told.items()])
    trainer = build_trainer(config, World(), read_manifest(str(shards)), network_of(config, 10)[0])
    seen: list[tuple[int, Moment]] = []
    augmentation = trainer.learner.augmentation

    def seeing(images: Tensor, labels: Tensor, moment: Moment) -> Any:
        seen.append((len(labels), moment))
        return augmentation(images, labels, moment)

    monkeypatch.setattr(trainer.learner, "augmentation", seeing)
    with Journal(tmp_path, JournalConfig(tensorboard=False), speaks=False) as journal:
        for _ in range(2):
            assert len(list(trainer.steps(journal))) == 2
            trainer.turn({})
    trainer.train_loader.close()
    assert [(moment.epoch, moment.step) for _, moment in seen] == [
        (epoch, step) for epoch in (0, 1) for step in (0, 1) for _ in range(3)
    ]
    assert [count for count, _ in seen] == [len(moment.positions) for _, moment in seen] == [20] * 12
    for epoch in (0, 1):
        places = np.concatenate([moment.positions for _, moment in seen if moment.epoch == epoch])
        assert places.tolist() == list(range(120))


def test_runs_in_this_process_compute_with_as_many_threads_as_those_in_processes_of_their_own() -> None:
    command = [sys.executable, "-c", "import torch; print(torch.get_num_threads())"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=True)
    assert torch.get_num_threads() == int(done.stdout)


class RankOne(World):
    """Whose first rank has found a part of 7 in its run folder, where this one sees none."""

    def gather(self, thing: object) -> list[object]:
        return [Room(part=7, pieces=1, side=32)]


def test_all_ranks_take_the_part_that_the_first_one_knows(shards: Path, tmp_path: Path) -> None:
    told = {"out": tmp_path, "device": "cpu", "model.arch": "resnet18", "data.shards": shards, "data.image_size": 32,
            "data.eval_resize": 36, "data.workers": 0, "optim.global_batch": 60,
            "optim.micro_batch": "auto"}  # fmt: skip
    config = load_config(RunConfig, None, [f"--{name}={value}" for name, value in told.items()])
    manifest = read_manifest(str(shards))
    trainer = build_trainer(config, RankOne(), manifest, network_of(config, len(manifest.classes))[0])
    trainer.train_loader.close()
    assert trainer.train_loader.plan.part_size == 7


def test_on_another_number_of_ranks_a_network_draws_anew_and_always_the_same(shards: Path, tmp_path: Path) -> None:
    told = {"out": tmp_path, "device": "cpu", "model.arch": "resnet18", "data.shards": shards, "data.image_size": 32,
            "data.eval_resize": 36, "data.workers": 0, "optim.global_batch": 60}  # fmt: skip
    config = load_config(RunConfig, None, [f"--{name}={value}" for name, value in told.items()])
    trainer = build_trainer(config, World(), read_manifest(str(shards)), network_of(config, 10)[0])
    with Journal(tmp_path, JournalConfig(tensorboard=False), speaks=False) as journal:
        next(steps := trainer.steps(journal))
    steps.close()
    trainer.train_loader.close()
    state = trainer.state_dict()
    drawn = []
    for rng in (state["rng"], state["rng"] * 2, state["rng"] * 2):
        trainer.load_state_dict({**state, "rng": rng})
        drawn.append(torch.rand(4))
    with torch.random.fork_rng():
        torch.manual_seed(mixed(config.seed, 0))
        drawn.append(torch.rand(4))
    assert torch.equal(drawn[1], drawn[2])
    assert not torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[1], drawn[3])
