"""Servers that end with their owner: a killed pytest must leave no process behind.

As a module of its own (`python -m servers.guard`) it detaches itself, starts commands, and stops them when it is told
to or when the owner's process has ended, however that came about.
"""

import contextlib
import ctypes
import json
import os
import random
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36


def start(commands: dict[str, list[str]], folder: Path, owner: int) -> None:
    """Run named commands until `owner` ends; what they print goes to <folder>/<name>.log."""
    with (folder / "guard.log").open("ab") as log:
        subprocess.run(
            [sys.executable, "-m", "servers.guard", str(owner), str(folder), json.dumps(commands)],
            cwd=Path(__file__).parents[1],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            check=True,
        )


def stop(folder: Path) -> None:
    """End what `start` has started in this folder; nothing happens where it has ended already."""
    file = folder / "guard.pid"
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        pid = int(file.read_text())
        if str(folder).encode() in Path(f"/proc/{pid}/cmdline").read_bytes():  # not a stranger with a reused number
            with _opened(os.pidfd_open(pid)) as process:
                signal.pidfd_send_signal(process, signal.SIGTERM)
                select.select([process], [], [], 20)
    file.unlink(missing_ok=True)


def free_ports(count: int) -> list[int]:
    """Ports on which nothing listens, outside the range from which the kernel serves outgoing connections."""
    ports: list[int] = []
    while len(ports) < count:
        port = random.SystemRandom().randrange(20_000, 32_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            ports.append(port)
    return ports if len(set(ports)) == count else free_ports(count)


def wait_for(ready: Callable[[], bool], folder: Path, seconds: float = 60) -> None:
    """Wait until the servers of this folder are ready; else stop them and tell what they logged."""
    end = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > end:
            stop(folder)
            logs = "".join(f"\n{log.name}: {log.read_text()[-2000:]}" for log in sorted(folder.glob("*.log")))
            raise TimeoutError(f"servers in {folder} were not ready within {seconds:g} s{logs}")
        time.sleep(0.05)


def listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


@contextlib.contextmanager
def _opened(descriptor: int) -> Iterator[int]:
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _end_with(guard: int) -> None:
    """Between fork and exec: even a SIGKILL of the guard ends its servers, which end their workers."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != guard:  # it was killed before this was told
        os._exit(1)


def _launch(command: list[str], log: Path) -> subprocess.Popen[bytes]:
    with log.open("ab") as output:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            preexec_fn=partial(_end_with, os.getpid()),
        )


def _end(servers: list[subprocess.Popen[bytes]]) -> None:
    """Politely, then by force; each server is a process group, so its workers go with it."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        for server in servers:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(server.pid, number)
        for server in servers:
            with contextlib.suppress(subprocess.TimeoutExpired):
                server.wait(timeout=5)
    with contextlib.suppress(ChildProcessError):
        while True:
            os.waitpid(-1, 0)  # orphaned workers, since not every container reaps them


def _guard(owner: int, folder: Path, commands: dict[str, list[str]]) -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    owner_ended = os.pidfd_open(owner)  # before the fork, so that the owner is still there
    if pid := os.fork():
        (folder / "guard.pid").write_text(str(pid))
        return
    os.setsid()
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
    servers: list[subprocess.Popen[bytes]] = []
    try:
        for name, command in commands.items():
            servers.append(_launch(command, folder / f"{name}.log"))
        select.select([owner_ended], [], [])
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        _end(servers)


if __name__ == "__main__":
    _guard(int(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3]))
