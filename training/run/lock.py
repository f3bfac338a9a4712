"""A run folder has one owner at a time."""

import fcntl
import json
import os
import socket
import time
from pathlib import Path

from tarn.sharding.errors import TarnError

PATIENCE = 5.0  # s: a process that was just killed takes a moment to be gone


class RunLock:
    """RUN/run.lock, locked by flock(2): the kernel lets go of it when the process ends, however it ends.

    The file stays, and says who had it last. NFS passes flock on to its server, so that hosts see each other's (unless
    mounted with nolock or local_lock); Lustre does where it is mounted with -o flock; file systems on top of an object
    store mostly do not. Where a file system has no locks at all, `warning` says so and the run goes on.
    """

    def __init__(self, run: Path, patience: float = PATIENCE) -> None:
        """Raises TarnError where somebody else has the folder, or where it cannot be written."""
        self.path, self.warning, self.file = run / "run.lock", "", -1
        try:
            run.mkdir(parents=True, exist_ok=True)
            self.file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise TarnError(
                f"the run folder {run} cannot be written ({error}): check its permissions, or choose another by --out."
            ) from error
        try:
            self.take(patience)
        except BaseException:
            self.release()
            raise

    def take(self, patience: float) -> None:
        until = time.monotonic() + patience
        while True:
            try:
                fcntl.flock(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if time.monotonic() > until:
                    raise TarnError(
                        f"the run folder {self.path.parent} is in use by {self.owner()}: "
                        "wait for its end or stop it, or choose another folder by --out."
                    ) from error
                time.sleep(0.1)
            except OSError as error:
                self.warning = (
                    f"Warning: {self.path} cannot be locked ({error}): see to it that one run at a time is here."
                )
                break
        try:
            told = json.dumps({"host": socket.gethostname(), "process": os.getpid()}) + "\n"
            os.ftruncate(self.file, 0)
            os.pwrite(self.file, told.encode(), 0)
        except OSError:
            return  # a full disk: the lock holds without a word in it

    def owner(self) -> str:
        try:
            told = json.loads(os.pread(self.file, 4096, 0))
            return f"process {int(told['process'])} on {told['host']}"
        except (OSError, ValueError, KeyError, TypeError):
            return "another process"

    def release(self) -> None:
        if self.file >= 0:
            os.close(self.file)
            self.file = -1
