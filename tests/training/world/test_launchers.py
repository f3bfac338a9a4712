"""Ranks as torchrun, Slurm and MPI tell them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tarn.sharding.errors import UsageError
from tarn.training.world.launchers import meeting_place, told_ranks
from tarn.training.world.ranks import Ranks
from tarn.training.world.world import World

SRUN = {
    "SLURM_JOB_ID": "77", "SLURM_STEP_ID": "1", "SLURM_PROCID": "5", "SLURM_NTASKS": "7", "SLURM_LOCALID": "1",
    "SLURM_NODEID": "1", "SLURM_STEP_TASKS_PER_NODE": "4,3", "SLURM_STEP_NODELIST": "gpu[03-04]",
}  # fmt: skip


@pytest.mark.parametrize(
    ("environment", "ranks"),
    [
        ({}, Ranks()),
        ({"RANK": "3", "WORLD_SIZE": "8", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2"}, Ranks(3, 8, 1, 2)),
        ({"RANK": "0", "WORLD_SIZE": "1"}, Ranks(0, 1, 0, 1)),
        (SRUN, Ranks(5, 7, 1, 3)),
        ({**SRUN, "SLURM_STEP_TASKS_PER_NODE": "4(x2)"}, Ranks(5, 7, 1, 4)),
        ({"SLURM_PROCID": "1", "SLURM_NTASKS": "2"}, Ranks(1, 2, 0, 1)),
        ({**SRUN, "RANK": "0", "WORLD_SIZE": "2", "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "2"}, Ranks(0, 2, 0, 2)),
        # a batch script, and a shell of salloc: no srun, one process
        ({"SLURM_JOB_ID": "77", "SLURM_PROCID": "0", "SLURM_NTASKS": "4", "SLURM_LOCALID": "0"}, Ranks()),
        ({"SLURM_JOB_ID": "77", "SLURM_NTASKS": "4"}, Ranks()),
        (
            {
                "OMPI_COMM_WORLD_RANK": "2",
                "OMPI_COMM_WORLD_SIZE": "4",
                "OMPI_COMM_WORLD_LOCAL_RANK": "0",
                "OMPI_COMM_WORLD_LOCAL_SIZE": "2",
            },
            Ranks(2, 4, 0, 2),
        ),
        ({"PMI_RANK": "1", "PMI_SIZE": "3"}, Ranks(1, 3, 0, 1)),
    ],
)
def test_every_launcher_is_understood(environment: dict[str, str], ranks: Ranks) -> None:
    assert told_ranks(environment) == ranks


@pytest.mark.parametrize(
    ("environment", "told"),
    [
        ({"RANK": "5", "WORLD_SIZE": "2"}, "RANK=5 and WORLD_SIZE=2"),
        ({"RANK": "-1", "WORLD_SIZE": "2"}, "RANK=-1"),
        ({"WORLD_SIZE": "2"}, "WORLD_SIZE=2 is set and RANK is not"),
        ({"RANK": "1"}, "RANK=1 is set and WORLD_SIZE is not"),
        ({"RANK": "one", "WORLD_SIZE": "2"}, "RANK='one' must be a whole number"),
        ({"RANK": "1", "WORLD_SIZE": "2", "LOCAL_RANK": "2", "LOCAL_WORLD_SIZE": "2"}, "LOCAL_RANK=2"),
        ({"SLURM_PROCID": "1"}, "SLURM_PROCID=1 is set and SLURM_NTASKS is not"),
    ],
)
def test_what_cannot_be_is_refused_by_name(environment: dict[str, str], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        told_ranks(environment)


def test_ranks_meet_where_the_environment_says() -> None:
    assert meeting_place({"MASTER_ADDR": "a", "MASTER_PORT": "1"}) == "env://"
    assert meeting_place(SRUN) == "tcp://gpu03:20771"
    assert meeting_place({**SRUN, "SLURM_STEP_NODELIST": "login,b7", "MASTER_PORT": "9"}) == "tcp://login:9"
    with pytest.raises(UsageError, match="MASTER_ADDR and MASTER_PORT are not both set"):
        meeting_place({"RANK": "0", "WORLD_SIZE": "2"})


def test_sums_are_precise_where_the_device_can() -> None:
    assert World(device=torch.device("cpu")).precise == World(device=torch.device("cuda")).precise == torch.float64
    assert World(device=torch.device("mps")).precise == torch.float32  # torch refuses float64 there


TASK = """
import sys, torch
from tarn.training.streaming import ShardLoader
from tarn.training.world.world import joined_world
with joined_world("cpu", timeout_minutes=1) as world:
    total = world.sum(torch.tensor([float(world.rank + 1)]))
    loader = ShardLoader(sys.argv[1], global_batch=24, image_size=16, num_workers=1)
    samples = sum(len(batch.labels) for batch in loader)
    loader.close()
    print(world.rank, world.size, world.local_rank, total.item(), samples)
"""


def test_ranks_that_srun_started_are_one_world(shards: Path) -> None:
    told = {**SRUN, "SLURM_NTASKS": "2", "SLURM_STEP_TASKS_PER_NODE": "2", "SLURM_STEP_NODELIST": "localhost"}
    told |= {"SLURM_NODEID": "0", "SLURM_JOB_ID": str(os.getpid())}
    tasks = [
        subprocess.Popen(
            [sys.executable, "-c", TASK, str(shards)],
            env=os.environ | told | {"SLURM_PROCID": str(rank), "SLURM_LOCALID": str(rank)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    assert [task.communicate()[0].split() for task in tasks] == [
        ["0", "2", "0", "3.0", "60"],
        ["1", "2", "1", "3.0", "60"],
    ]


LATE = """
import sys, torch.distributed as dist
from tarn.sharding.errors import TarnError
from tarn.training.streaming import SequentialLoader, ShardLoader
settings = {"global_batch": 24, "image_size": 16, "num_workers": 0}
early, told = ShardLoader(sys.argv[1], **settings), ShardLoader(sys.argv[1], **settings, rank=0, world_size=1)
sequential = SequentialLoader(["a.tar", "b.tar"], samples=48, **settings)
assert len(list(early)) == len(list(told)) == 5
dist.init_process_group("gloo", init_method=f"file://{sys.argv[2]}", rank=int(sys.argv[3]), world_size=2)
for one in (early, sequential):
    try:
        next(iter(one))
    except TarnError as error:
        print(error)
for one in (told, ShardLoader(sys.argv[1], **settings)):
    print(sum(len(batch.labels) for batch in one))
dist.destroy_process_group()
"""


def test_a_loader_holds_its_rank_against_a_process_group_that_came_later(shards: Path, tmp_path: Path) -> None:
    tasks = [
        subprocess.Popen(
            [sys.executable, "-c", LATE, str(shards), str(tmp_path / "meeting"), str(rank)],
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    for rank, task in enumerate(tasks):
        *errors, as_told, late = task.communicate()[0].splitlines()
        wanted = f"this loader was made as rank 0 of 1, and the process group says rank {rank} of 2: make it after"
        assert [error[: len(wanted)] for error in errors] == [wanted] * 2
        assert (as_told, late) == ("120", "60")
