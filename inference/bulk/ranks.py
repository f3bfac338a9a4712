"""Several processes at one result, each with a share of its units: started here (--ranks), or by torchrun."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from tarn.inference.bulk.job import Share
from tarn.sharding.cores import available_cores
from tarn.sharding.errors import TarnError, UsageError
from tarn.training.streaming.processes.process import end_with_parent
from tarn.training.world.launchers import told_ranks

GPUS = Path("/proc/driver/nvidia/gpus")
LOOK = 0.1  # s


def start_ranks(words: Sequence[str], ranks: int) -> int:
    """words: of the command. Returns when all have made their share, or with the exit code of the first that fails and
    has told why, which ends the others. Raises TarnError where one was ended by something."""
    lifeline, ours = os.pipe()
    children = [start(words, rank, ranks, lifeline) for rank in range(ranks)]
    os.close(lifeline)
    try:
        while None in (codes := [child.poll() for child in children]) and not any(codes):
            time.sleep(LOOK)
        failed = next((rank for rank, code in enumerate(codes) if code), None)
        code = 0 if failed is None else codes[failed] or 0
        if code < 0:
            raise TarnError(f"rank {failed} was ended by signal {-code} (out of memory?): the same command goes on.")
        return code
    finally:
        os.close(ours)  # those that are left end by it
        for child in children:
            child.wait()


def start(words: Sequence[str], rank: int, ranks: int, lifeline: int) -> "subprocess.Popen[bytes]":
    environment = dict(os.environ)
    environment.setdefault("OMP_NUM_THREADS", str(max(1, available_cores() // ranks)))
    command = [sys.executable, "-m", "tarn.inference", *words, f"--rank={rank}/{ranks}/{lifeline}"]
    return subprocess.Popen(command, pass_fds=[lifeline], env=environment, stdin=subprocess.DEVNULL)


def share_of(told: str | None) -> tuple[Share, int]:
    """And the place among the processes of this host. told: by start_ranks(), which this process does not outlive;
    None: a launcher may tell. Raises UsageError."""
    if told is None:
        ranks = told_ranks()
        return Share(ranks.rank, ranks.size), ranks.local_rank
    rank, count, lifeline = map(int, told.split("/"))
    threading.Thread(target=end_with_parent, args=(lifeline,), daemon=True).start()
    return Share(rank, count), rank


def take_own_gpu(local_rank: int) -> None:
    """The one of its number, of those that may be used, and no other; to be called before torch is imported."""
    seen = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    there = seen.split(",") if seen else [str(number) for number in range(len(list(GPUS.glob("*"))))]
    if there:
        os.environ["CUDA_VISIBLE_DEVICES"] = there[local_rank % len(there)]


def check_ranks(ranks: int, pipe: bool) -> None:
    """Raises UsageError. pipe: whether pictures come by standard input, which only one process can read."""
    if ranks < 1:
        raise UsageError(f"--ranks={ranks} must be at least 1.")
    if told_ranks().size > 1 and ranks > 1:
        raise UsageError(f"--ranks={ranks} is one launcher too many: leave it out under torchrun.")
    if pipe and max(ranks, told_ranks().size) > 1:
        raise UsageError("standard input can be read by one process: write the list to a file for several ranks.")
