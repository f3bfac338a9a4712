"""What those that start several processes tell each of them, in its environment: torchrun, Open MPI, MPICH, Slurm."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

from tarn.sharding.errors import UsageError
from tarn.training.world.ranks import Ranks


@dataclass(frozen=True, slots=True)
class Launcher:
    """The names of its variables. local ones may be missing: then hosts are taken to hold one process each."""

    name: str
    rank: str
    size: str
    local_rank: str
    local_size: str


LAUNCHERS = (
    Launcher("torchrun", "RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE"),
    Launcher(
        "Open MPI",
        "OMPI_COMM_WORLD_RANK",
        "OMPI_COMM_WORLD_SIZE",
        "OMPI_COMM_WORLD_LOCAL_RANK",
        "OMPI_COMM_WORLD_LOCAL_SIZE",
    ),
    Launcher("Slurm", "SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID", "SLURM_NTASKS_PER_NODE"),
    Launcher("MPI", "PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID", "MPI_LOCALNRANKS"),
)


def told_ranks(environment: Mapping[str, str] = os.environ) -> Ranks:
    """This process among all, as its launcher tells; one rank without a launcher.

    Raises UsageError for what is told in halves or cannot be.
    """
    launcher = present(environment)
    if launcher is None:
        return Ranks()
    rank, size = (number(environment, name) for name in (launcher.rank, launcher.size))
    if rank is None or size is None:
        here, missing = (launcher.size, launcher.rank) if rank is None else (launcher.rank, launcher.size)
        raise UsageError(
            f"{here}={environment[here]} is set and {missing} is not: start by torchrun, which sets both, or unset it."
        )
    if not 0 <= rank < size:
        raise UsageError(
            f"{launcher.rank}={rank} and {launcher.size}={size} do not go together: 0 <= rank < size is needed."
        )
    local_size = number(environment, launcher.local_size)
    if launcher.name == "Slurm":
        local_size = slurm_tasks_here(environment) or local_size
    if local_size is None:
        local_size = 1 if number(environment, launcher.local_rank) is None else size
    local_rank = number(environment, launcher.local_rank) or 0
    if not 0 <= local_rank < max(1, local_size):
        raise UsageError(
            f"{launcher.local_rank}={local_rank} and {launcher.local_size}={local_size} do not go together: "
            "0 <= local rank < local size is needed."
        )
    return Ranks(rank, size, local_rank, local_size)


def present(environment: Mapping[str, str]) -> Launcher | None:
    """The first of which a variable is set. Of Slurm only within srun: a batch script is a single process, whatever
    number of tasks was asked for."""
    for launcher in LAUNCHERS:
        if launcher.name == "Slurm" and ("SLURM_JOB_ID" in environment and "SLURM_STEP_ID" not in environment):
            continue
        if launcher.name == "Slurm" and launcher.rank not in environment:
            continue  # salloc sets the number of tasks alone
        if launcher.rank in environment or launcher.size in environment:
            return launcher
    return None


def number(environment: Mapping[str, str], name: str) -> int | None:
    """Raises UsageError for what is no whole number."""
    told = environment.get(name, "").strip()
    if not told:
        return None
    try:
        return int(told)
    except ValueError:
        raise UsageError(f"{name}={told!r} must be a whole number: start by torchrun or srun, or unset it.") from None


def slurm_tasks_here(environment: Mapping[str, str]) -> int | None:
    """Of this host, from a list such as `4(x2),3`: 4 on two hosts, 3 on the third."""
    told, node = environment.get("SLURM_STEP_TASKS_PER_NODE", ""), number(environment, "SLURM_NODEID") or 0
    counts = [int(count) for count, times in re.findall(r"(\d+)(?:\(x(\d+)\))?", told) for _ in range(int(times or 1))]
    return counts[node] if node < len(counts) else None


def meeting_place(environment: Mapping[str, str] = os.environ) -> str:
    """Where ranks meet: the URL of rank 0. MASTER_ADDR and MASTER_PORT where they are set, else what Slurm tells.

    Raises UsageError where nothing tells.
    """
    if "MASTER_ADDR" in environment and "MASTER_PORT" in environment:
        return "env://"
    hosts = environment.get("SLURM_STEP_NODELIST") or environment.get("SLURM_JOB_NODELIST")
    if "SLURM_PROCID" in environment and (hosts or environment.get("SLURM_LAUNCH_NODE_IPADDR")):
        address = environment.get("MASTER_ADDR") or first_host(hosts or environment["SLURM_LAUNCH_NODE_IPADDR"])
        run = (number(environment, "SLURM_JOB_ID") or 0) * 10 + (number(environment, "SLURM_STEP_ID") or 0)
        return f"tcp://{address}:{environment.get('MASTER_PORT') or 20_000 + run % 10_000}"
    raise UsageError(
        "MASTER_ADDR and MASTER_PORT are not both set, so ranks do not know where to meet: start by torchrun, or set "
        "them to rank 0's host and a free port of it."
    )


def first_host(told: str) -> str:
    """Of Slurm's list: `a[03-05,7],b` begins with a03."""
    match = re.match(r"([^,\[]+)(?:\[(\w+))?", told)
    return f"{match[1]}{match[2] or ''}" if match else told
