"""A loop of one's own over torch's DataLoader, with DistributedDataParallel."""

from pathlib import Path

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.functional import cross_entropy
from torch.nn.parallel import DistributedDataParallel

from support.exactness import LAST, Life
from tarn.training.adapters.dataloader import ShardDataLoader


def train(life: Life) -> None:
    dist.init_process_group("gloo")
    batches, val = ShardDataLoader(life.loader()), ShardDataLoader(life.loader(train=False))
    assert isinstance(batches, torch.utils.data.DataLoader)
    model = DistributedDataParallel(nn.Linear(3, 10))
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    step, path = 0, Path(life.home) / "checkpoint.pt"
    if path.exists():
        told = torch.load(path)
        step = told["step"]
        model.load_state_dict(told["model"])
        batches.load_state_dict(told["stream"])
    while step < LAST:
        for batch in batches:
            life.trains(step, batch.keys)
            cross_entropy(model(batch.images.float().mean((1, 2)) / 255), batch.labels).backward()
            optimizer.step()
            optimizer.zero_grad()
            step += 1
            if step % 2 == 0 and life.rank == 0:
                told = {"step": step, "model": model.state_dict(), "stream": batches.state_dict()}
                torch.save(told, path.with_suffix(".new"))
                path.with_suffix(".new").replace(path)
            if step % 4 == 0:
                life.evaluated([key for batch in val for key in batch.keys])
            if step == LAST:
                break
    dist.destroy_process_group()
