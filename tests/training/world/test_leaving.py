"""Ranks come to their end: with the process group, and without the launcher."""

import os
import subprocess
import sys
import time
from pathlib import Path

PATIENCE = 200.0  # s; what takes longer would take for ever

MANY_WORLDS = """
import torch
from tarn.training.world.world import joined_world
for trial in range(60):
    with joined_world("cpu", timeout_minutes=1) as world:
        assert world.gather({"rank": world.rank}) == [{"rank": 0}, {"rank": 1}]
        assert world.any(world.rank == 1)
        float(world.sum(torch.ones(1, dtype=torch.float64)))  # nobody else keeps this tensor
"""

ENDLESS = """
import os, signal, sys, time
from pathlib import Path
from tarn.training.world.world import joined_world
def leave(number, frame):
    Path(sys.argv[1], f"left-{os.environ['RANK']}").touch()
    sys.exit(0)
signal.signal(signal.SIGTERM, leave)
with joined_world("cpu") as world:
    Path(sys.argv[1], f"rank-{world.rank}").write_text(str(os.getpid()))
    while True:
        time.sleep(0.1)
"""


def launched(folder: Path, code: str, *words: str) -> subprocess.Popen[bytes]:
    script = folder / "script.py"
    script.write_text(code)
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    return subprocess.Popen([*launcher, str(script), *words])


def until(done: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while not done.exists():
        assert time.monotonic() < deadline, f"{done.name} never came"
        time.sleep(0.05)


def test_process_groups_end_right_behind_the_last_word(tmp_path: Path) -> None:
    """In torch 2.6 one in about fifty hung there."""
    process = launched(tmp_path, MANY_WORLDS)
    try:
        assert process.wait(PATIENCE) == 0
    finally:
        process.kill()


def test_ranks_leave_when_their_launcher_was_killed(tmp_path: Path) -> None:
    process = launched(tmp_path, ENDLESS, str(tmp_path))
    ranks = [tmp_path / f"rank-{rank}" for rank in range(2)]
    for rank in ranks:
        until(rank)
    process.kill()  # it cannot tell anybody
    process.wait()
    for rank in range(2):
        until(tmp_path / f"left-{rank}")


def test_whoever_no_launcher_started_outlives_its_parent(tmp_path: Path) -> None:
    code = f"""
import os, subprocess, sys, time
from tarn.training.world.world import joined_world
if os.fork():
    os._exit(0)
parent = os.getppid()
with joined_world("cpu"):
    time.sleep(2.5)
open({str(tmp_path / "alive")!r}, "w").close()
"""
    environment = {name: value for name, value in os.environ.items() if name != "TORCHELASTIC_RUN_ID"}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
    until(tmp_path / "alive")
