"""Contenders measured in turns: each in a process of its own that waits while the others run."""

import contextlib
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
from dataclasses import asdict
from multiprocessing.connection import wait

from benchmarks.contender import CONTENDERS, Task
from benchmarks.machine import memory, tree

POLL = 0.2  # s between looks at memory
PATIENCE = 60.0  # s for an answer


class AbsentError(Exception):
    """Why a contender does not take part."""


class Runner:
    """A contender at work. first: seconds from constructing its loader to its first batch. Raises AbsentError."""

    def __init__(self, name: str, task: Task, pythons: list[str]) -> None:
        self.name, self.task = name, task
        python = python_with(name, pythons)
        told = {"name": name, "task": asdict(task)}
        command = [python, "-m", "benchmarks.contender"]
        if CONTENDERS[name].prepare:
            subprocess.run([*command, json.dumps({**told, "prepare": True})], check=True, capture_output=True)
        self.complaints = tempfile.TemporaryFile("w+")  # noqa: SIM115  (as long as the process)
        self.process = subprocess.Popen(
            [*command, json.dumps(told)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.complaints, text=True,
        )  # fmt: skip
        self.first = self.answer()["first"]
        self.signal(signal.SIGSTOP)

    def signal(self, number: signal.Signals) -> None:
        """To all of its processes. Between turns they are stopped, for some prepare batches long after their turn."""
        for process in tree(self.process.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, number)

    def answer(self) -> dict[str, float]:
        assert self.process.stdout is not None
        if not wait([self.process.stdout], timeout=PATIENCE):  # type: ignore[list-item]
            self.process.kill()
        line = self.process.stdout.readline()
        if not line:
            self.complaints.seek(0)
            words = self.complaints.read().strip().splitlines()
            raise AbsentError(f"ended or was ended, exit code {self.process.wait()}: {words[-1] if words else ''}")
        return json.loads(line)  # type: ignore[no-any-return]

    def rate(self, seconds: float) -> float:
        """Images/s of one turn."""
        assert self.process.stdin is not None
        self.signal(signal.SIGCONT)
        print(seconds, file=self.process.stdin, flush=True)
        told = self.answer()["rate"]
        self.signal(signal.SIGSTOP)
        return told

    def peak(self, seconds: float) -> tuple[float, float]:
        """The most resident and proportional memory of its processes during a turn, in bytes."""
        seen, done = [memory(self.process.pid)], threading.Event()

        def watch() -> None:
            while not done.wait(POLL):
                seen.append(memory(self.process.pid))

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            self.rate(seconds)
        finally:
            done.set()
            watcher.join()
        return max(it[0] for it in seen), max(it[1] for it in seen)

    def close(self) -> None:
        assert self.process.stdin is not None
        self.signal(signal.SIGCONT)
        self.process.stdin.close()
        self.process.wait(30)


def python_with(name: str, pythons: list[str]) -> str:
    """The first interpreter that has all modules that a contender needs. Raises AbsentError."""
    needs = CONTENDERS[name].needs
    look = f"import importlib.util as u, sys; sys.exit(not all(u.find_spec(name) for name in {needs!r}))"
    for python in (sys.executable, *pythons):
        if subprocess.run([python, "-c", look], check=False, capture_output=True).returncode == 0:
            return python
    raise AbsentError(f"not installed ({', '.join(needs)})")


def in_turns(runners: list[Runner], rounds: int, seconds: float) -> list[list[float]]:
    """Images/s by runner and round; every other round the other way about, so that drift hits all alike."""
    rates: list[list[float]] = [[] for _ in runners]
    for number in range(rounds):
        order = list(zip(runners, rates, strict=True))
        for runner, found in order if number % 2 == 0 else reversed(order):
            found.append(runner.rate(seconds))
    return rates


def ratio(ours: list[float], theirs: list[float]) -> float:
    """The median of the ratios of the same rounds."""
    return statistics.median(a / b for a, b in zip(ours, theirs, strict=True))
