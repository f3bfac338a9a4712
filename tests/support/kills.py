"""Packings that are killed at random moments, again and again, until they come through."""

import contextlib
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

LOOK = 0.002  # s between looks at the staging folder
EARLY = 0.1  # share of kills while the program is still starting


@dataclass
class Packer:
    """words: of the command. staging: lists the folders in which shards are written aside; room: bytes that they may
    ever take."""

    words: list[str]
    environment: dict[str, str]
    staging: Callable[[], list[Path]]
    room: int
    most: int = 0  # bytes seen there
    starting: float = 0.0  # s until the first shard is begun, of a packing that nobody disturbs
    packing: float = 0.0  # s from there on
    lines: list[str] = field(default_factory=list)

    def start(self) -> "subprocess.Popen[str]":
        command = [sys.executable, "-m", "tarn.sharding", "pack", *self.words]
        environment = {**os.environ, **self.environment}
        return subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
        )

    def undisturbed(self) -> None:
        """To its end, and how long it took."""
        begun = time.monotonic()
        process = self.start()
        with self.watched():
            while process.poll() is None and not self.staging():
                time.sleep(LOOK)
            self.starting = time.monotonic() - begun
            self.finish(process)
        self.packing = time.monotonic() - begun - self.starting

    def killed(self, rng: random.Random) -> bool:
        """Kills it at a moment between its start and its end, the parent alone or all of its processes; whether it was
        faster."""
        process = self.start()
        with self.watched():
            if rng.random() < EARLY:
                time.sleep(rng.uniform(0, self.starting))
            else:
                while process.poll() is None and not self.staging():
                    time.sleep(LOOK)
                time.sleep(rng.uniform(0, self.packing))
            if process.poll() is None:
                kill = os.kill if rng.random() < 0.5 else os.killpg
                with contextlib.suppress(ProcessLookupError):
                    kill(process.pid, signal.SIGKILL)
            process.wait()
        if process.returncode == -signal.SIGKILL:
            process.communicate()
            return False
        self.finish(process)
        return True

    def finish(self, process: "subprocess.Popen[str]") -> None:
        told, errors = process.communicate(timeout=600)
        assert process.returncode == 0, errors
        self.lines += told.splitlines()

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """Notes the most that lies in the staging folders meanwhile."""
        done = threading.Event()

        def watch() -> None:
            while not done.wait(LOOK):
                self.most = max(self.most, sum(map(size_of, self.staging())))

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            yield
        finally:
            done.set()
            watcher.join()
        assert self.most <= self.room, f"{self.most} bytes lay aside, {self.room} are promised"


def size_of(folder: Path) -> int:
    total = 0
    with contextlib.suppress(OSError):
        for path in folder.rglob("*"):
            with contextlib.suppress(OSError):  # it was published meanwhile
                if path.is_file():
                    total += path.stat().st_size
    return total
