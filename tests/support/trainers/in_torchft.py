"""A replica of torchft's: gradients by its Manager, a step that a death spoils is tried again."""

import os
import signal
import time
from datetime import timedelta
from pathlib import Path

import torch
from torch import nn
from torch.distributed import TCPStore
from torch.nn.functional import cross_entropy

from support.exactness import GLOBAL_BATCH, LAST, Life
from tarn.training.adapters.torchft import QuorumBatches

WANTED = {0: 2, 1: 3, 2: 1, 3: 1}  # replicas that are waited for, after so many deaths


def train(life: Life) -> None:
    """life.rank: of this replica among all there ever are. It dies with a step half done."""
    from torchft import Manager, ProcessGroupGloo

    model = nn.Linear(3, 10)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    manager = Manager(
        pg=ProcessGroupGloo(timeout=timedelta(seconds=30)),
        load_state_dict=model.load_state_dict,
        state_dict=model.state_dict,
        min_replica_size=1,
        use_async_quorum=False,
        rank=0,
        world_size=1,
        store_addr="127.0.0.1",
        store_port=store.port,
        hostname="127.0.0.1",
        lighthouse_addr=os.environ["TORCHFT_LIGHTHOUSE"],
        replica_id=f"replica_{life.rank}",
    )
    batches = QuorumBatches(manager, lambda rank, size: life.loader(rank=rank, world_size=size))
    while manager.current_step() < LAST:
        manager.start_quorum()
        if manager.num_participants() < WANTED[deaths(life)]:
            time.sleep(0.02)
            continue
        batch, step = batches.batch(), manager.current_step()
        scale = manager.num_participants() / GLOBAL_BATCH
        (
            cross_entropy(model(batch.images.float().mean((1, 2)) / 255), batch.labels, reduction="sum") * scale
        ).backward()
        if step == life.kill:
            life.note("dead", step)
            os.kill(os.getpid(), signal.SIGKILL)
        for parameter in model.parameters():
            manager.allreduce(parameter.grad).wait()
        if manager.should_commit():
            optimizer.step()
            life.note("trained", [step, batch.keys])
            life.note("sizes", manager.num_participants())
        optimizer.zero_grad()
    life.note("weights", [parameter.tolist() for parameter in model.parameters()])
    batches.close()
    manager.shutdown()


def deaths(life: Life) -> int:
    return len(list(Path(life.home).glob("dead-*")))
