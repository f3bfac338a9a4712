"""Child processes of a loader: started as programs of their own, so that neither torch nor the user's script is
imported in them and nothing of the parent's threads is copied; gone when the parent is, however it went."""

import contextlib
import importlib
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

HERE = "tarn.training.streaming.processes.process"
GRACE = 5.0  # s for a child to leave by itself
# NumPy would start a thread for every core, which nothing here has work for: 0.1 s of CPU at every start
LEAN = {"OPENBLAS_NUM_THREADS": "1"}
NAMES = ("SIGINT", "SIGTERM", "SIGUSR1", "SIGUSR2", "SIGHUP")
IGNORED = tuple(getattr(signal, name) for name in NAMES if hasattr(signal, name))  # the parent's; schedulers tell all


@contextlib.contextmanager
def held_back() -> Iterator[None]:
    """Signals wait: a child that is started in here is not ended by one before it can ignore it."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, IGNORED)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class Child:
    """A program at work on messages. task: `module:function`, called as function(connection) over there."""

    def __init__(self, task: str, files: Sequence[int]) -> None:
        self.connection, theirs = multiprocessing.Pipe()
        lifeline, self.lifeline = os.pipe()
        with held_back():
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", HERE, task, str(theirs.fileno()), str(lifeline)],
                pass_fds=(theirs.fileno(), lifeline, *files),
                stdin=subprocess.DEVNULL,
                env={**os.environ, **LEAN, "PYTHONPATH": os.pathsep.join(str(Path(at).absolute()) for at in sys.path)},
            )
        theirs.close()
        os.close(lifeline)

    def send(self, message: Any) -> None:
        """Where it is dead already, the first look at it tells."""
        with contextlib.suppress(ConnectionError):
            self.connection.send(message)

    @property
    def has_ended(self) -> bool:
        return self.process.poll() is not None

    def ending(self) -> str:
        """How it ended, in words; waits a moment for it to be known."""
        try:
            code = self.process.wait(GRACE)
        except subprocess.TimeoutExpired:
            return "closed its connection"
        if code < 0:
            return f"was ended by {signal.Signals(-code).name}" + (" (out of memory?)" if code == -9 else "")
        return f"ended with exit code {code}"

    def close(self) -> None:
        """Ends it: by closing what it waits on, by force where that does not help."""
        self.connection.close()
        with contextlib.suppress(OSError):
            os.close(self.lifeline)
        try:
            self.process.wait(GRACE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def child_main(task: str, connection_file: int, lifeline: int) -> None:
    """What a child runs: its task, until the parent closes the connection or dies."""
    for number in IGNORED:
        signal.signal(number, signal.SIG_IGN)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, IGNORED)  # held back by the parent, see held_back
    module, _, function = task.partition(":")
    serve = getattr(importlib.import_module(module), function)
    connection = Connection(connection_file)
    threading.Thread(target=end_with_parent, args=(lifeline,), daemon=True).start()
    with contextlib.suppress(EOFError, ConnectionError):
        serve(connection)
    os._exit(0)  # threads at work on the network are not waited for


def end_with_parent(lifeline: int) -> None:
    """The pipe's other end is the parent's alone: reading returns when it is closed, by whatever."""
    os.read(lifeline, 1)
    os._exit(0)


if __name__ == "__main__":
    child_main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
