"""The process group, by real ranks under torchrun."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch.distributed as dist

from support.checkout import ROOT
from tarn.sharding.errors import TarnError
from tarn.training.world.rendezvous import fresh_store

DYING_RANK = """
import os, signal, sys, time
import torch
from tarn.training.world.world import joined_world
again = os.environ["TORCHELASTIC_RESTART_COUNT"] != "0"
if again and os.environ["RANK"] == "1":
    time.sleep(3)  # rank 0 is at the store long before
with joined_world("cpu", timeout_minutes=1) as world:
    total = world.sum(torch.tensor([float(world.rank + 1)]))
    if not again:
        if world.rank == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        world.barrier()
    open(f"rank-{world.rank}", "w").write(f"{total.item()} {world.gather(world.rank)}")
"""


def test_ranks_that_are_started_again_meet_each_other_and_not_the_dead(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(DYING_RANK)
    done = subprocess.run(
        [
            sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "--max-restarts=1",
            "--monitor-interval=0.1", str(script),
        ],
        env={**os.environ, "PYTHONPATH": str(ROOT)}, cwd=tmp_path, timeout=240,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:]
    assert [(tmp_path / f"rank-{rank}").read_text() for rank in (0, 1)] == ["3.0 [0, 1]"] * 2


def test_ranks_that_do_not_come_are_named() -> None:
    store = dist.HashStore()
    store.set("hello/2", "of an earlier start")
    with pytest.raises(TarnError, match=r"ranks 1, 2 of 3 did not start within 0\.2 s"):
        fresh_store(store, rank=0, size=3, patience=0.2)
