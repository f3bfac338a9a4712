"""Ray's TorchTrainer on a cluster of this machine, started again under its name, which makes it go on."""

import contextlib
import os
import shutil
import sys
import tempfile
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from support.exactness import LAST, Life, chosen_kills


def train(life: Life) -> None:
    """All starts, one behind the other, on a cluster of their own. life.kill: a seed."""
    import ray
    from ray.train import RunConfig, ScalingConfig
    from ray.train.torch import TorchTrainer

    os.environ |= {"PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    for name in ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "TORCHELASTIC_RUN_ID"):
        del os.environ[name]
    os.environ.pop("TORCHELASTIC_USE_AGENT_STORE")
    folder = tempfile.mkdtemp(prefix="ray-")  # sockets lie there, whose paths must be short
    patient = {"memory_monitor_refresh_ms": 0}  # other tests may fill the memory
    ray.init(
        num_cpus=4, include_dashboard=False, object_store_memory=100 * 2**20, _temp_dir=folder, _system_config=patient
    )
    try:
        for number, (ranks, kill, victim) in enumerate(chosen_kills(life.kill or 0)):
            told = asdict(replace(life, number=number, ranks=ranks, kill=kill))
            trainer = TorchTrainer(
                loop,
                train_loop_config={"life": told, "victim": victim},
                scaling_config=ScalingConfig(num_workers=ranks),
                run_config=RunConfig(name="run", storage_path=life.home),
            )
            with contextlib.nullcontext() if kill is None else pytest.raises(ray.train.TrainingFailedError):
                trainer.fit()
    finally:
        ray.shutdown()
        shutil.rmtree(folder, ignore_errors=True)


def loop(told: dict[str, Any]) -> None:
    """A worker."""
    from ray.train import CheckpointConsistencyMode, get_all_reported_checkpoints, get_context
    from ray.train.torch import prepare_model

    from tarn.training.adapters.ray import go_on, report

    rank = get_context().get_world_rank()
    life = Life(**told["life"])
    life = replace(life, rank=rank, kill=life.kill if rank == told["victim"] else None)
    loader, val = life.loader(), life.loader(train=False)
    model = prepare_model(nn.Linear(3, 10))
    bare = model.module if life.ranks > 1 else model
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    step, checkpoint = 0, go_on(loader)
    if checkpoint is not None:
        with checkpoint.as_directory() as folder:
            kept = torch.load(Path(folder) / "model.pt")
        step = kept["step"]
        bare.load_state_dict(kept["model"])
    while step < LAST:
        for batch in loader:
            if step == life.kill:  # what was reported is Ray's only when its controller has asked for it
                get_all_reported_checkpoints(CheckpointConsistencyMode.COMMITTED)
            life.trains(step, batch.keys)
            cross_entropy(model(batch.images.float().mean((1, 2)) / 255), batch.labels).backward()
            optimizer.step()
            optimizer.zero_grad()
            step += 1
            if step % 2 == 0:
                with tempfile.TemporaryDirectory() as folder:
                    if rank == 0:
                        torch.save({"step": step, "model": bare.state_dict()}, Path(folder) / "model.pt")
                    report({"step": step}, loader, Path(folder) if rank == 0 else None)
            if step % 4 == 0:
                life.evaluated([key for batch in val for key in batch.keys])
            if step == LAST:
                break
