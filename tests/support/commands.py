"""Runs as people start them: commands in real processes, really stopped."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import torch


def command(ranks: int, *words: str) -> list[str]:
    if ranks == 1:
        return [sys.executable, "-m", *words]
    return [sys.executable, "-m", words[0], "launch", "--standalone", f"--nproc-per-node={ranks}", *words[1:]]


def run(ranks: int, *words: str, expected: int = 0) -> str:
    done = subprocess.run(command(ranks, *words), capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == expected, done.stderr[-3000:]
    return done.stdout


def stop_at(step: int, number: signal.Signals, ranks: int, words: list[str], run_folder: Path) -> int:
    """Starts a run and sends the signal once the checkpoint of a step is committed: SIGKILL to all of its processes."""
    process = subprocess.Popen(command(ranks, *words), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 200
        while not (run_folder / "checkpoints" / f"step-{step:08d}.json").exists():
            assert process.poll() is None, "the run ended before it could be stopped"
            assert time.monotonic() < deadline
            time.sleep(0.005)
        for victim in processes_of(run_folder) if number == signal.SIGKILL else [process.pid]:
            os.kill(victim, number)
    except BaseException:
        process.kill()
        raise
    return process.wait()


def processes_of(run_folder: Path) -> list[int]:
    """Launcher, ranks and decoding workers: all have the run folder among their words."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if f"--out={run_folder}\0".encode() in path.read_bytes():
                found.append(int(path.parent.name))
        except OSError:
            continue
    return sorted(found)


def pid_of_rank(run_folder: Path, rank: int) -> int:
    """Of a launched run that is under way."""
    for home in Path("/proc").glob("[0-9]*"):
        try:
            words, environment = (home / "cmdline").read_bytes(), (home / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if f"--out={run_folder}\0".encode() in words and f"RANK={rank}".encode() in environment:
            return int(home.name)
    raise AssertionError(f"rank {rank} is not there")


def weights(run_folder: Path) -> dict[str, torch.Tensor]:
    return torch.load(run_folder / "model.pt", weights_only=True)["state_dict"]  # type: ignore[no-any-return]


def assert_same_weights(one: Path, other: Path) -> None:
    first, second = weights(one), weights(other)
    assert first.keys() == second.keys()
    different = [name for name in first if not torch.equal(first[name], second[name])]
    assert different == []
