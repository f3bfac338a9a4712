"""Tasks to the nodes of a Ray cluster, and their outcomes back.

Ray itself tries nothing again: what was begun by a process or node that died is begun anew here, under another name,
when what it left aside is gone.
"""

import contextlib
import os
import pickle
import shutil
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any

from tarn.sharding import storage
from tarn.sharding.errors import TarnError
from tarn.sharding.packing.engines.bell import hung
from tarn.sharding.packing.engines.engine import Advance, Keep
from tarn.sharding.packing.engines.fingerprint import FINGERPRINT
from tarn.sharding.packing.engines.node import TOKEN, Host, Order
from tarn.sharding.packing.publishing import Target
from tarn.sharding.packing.writer import Task, Written
from tarn.sharding.sources import Picture
from tarn.sharding.storage.told import TOLD
from tarn.sharding.storage.uploads import drop_unfinished

ATTEMPTS = 4  # of a shard, each ended by the death of its process or node
PATIENCE = 5.0  # s for a task to end when it is told to, and again for its process
OF_STORES = ("AWS_", "AZURE_", "FSSPEC_", "GOOGLE_")  # variables that tell clients of credentials and endpoints


@dataclass(frozen=True, slots=True)
class Attempt:
    task: Task
    number: int = 1

    @property
    def name(self) -> str:
        return f"{PurePosixPath(self.task.name).stem}-attempt-{self.number}"


class Dispatch:
    """ray: the module, connected. workers: tasks under way at a time."""

    def __init__(self, ray: Any, target: Target, tasks: Sequence[Task], workers: int) -> None:
        self.ray, self.target, self.workers = ray, target, workers
        self.host = host_of(target, tasks[0])
        self.run_there = ray.remote(num_cpus=1, max_retries=0, scheduling_strategy="SPREAD")(by_value())
        self.bell = hung(ray)
        self.running: dict[Any, Attempt] = {}
        self.lost = False

    def run(self, tasks: Sequence[Task], keep: Keep, advance: Advance) -> None:
        """Raises TarnError."""
        coming = iter(tasks)
        try:
            while True:
                for task in islice(coming, self.workers - len(self.running)):
                    self.send(Attempt(task))
                if not self.running:
                    return
                for done in self.ray.wait(list(self.running))[0]:
                    attempt = self.running.pop(done)
                    if (written := self.outcome(done, attempt)) is None:
                        self.send_again(attempt)
                    else:
                        keep(attempt.task, written)
                        advance(len(attempt.task.pictures), attempt.task.bytes)
        except BaseException:
            self.stop(keep)
            raise
        finally:
            if self.lost and self.host.shared is None:
                drop_unfinished(self.target.root)

    def send(self, attempt: Attempt) -> None:
        task = attempt.task
        order = Order(self.host, task, attempt.name, where(task.pictures[0]))
        self.running[self.run_there.remote(pickle.dumps(order), FINGERPRINT, self.bell)] = attempt

    def send_again(self, attempt: Attempt) -> None:
        self.lost = True
        if self.host.shared is not None:
            shutil.rmtree(Path(self.host.shared) / attempt.name, ignore_errors=True)
        self.send(replace(attempt, number=attempt.number + 1))

    def outcome(self, done: Any, attempt: Attempt) -> Written | None:
        """None where its process or node died. Raises TarnError, and what is a mistake of ours as Ray quotes it."""
        errors = self.ray.exceptions
        try:
            found = self.ray.get(done)
        except errors.RayTaskError:
            raise
        except errors.RayError as error:
            if attempt.number < ATTEMPTS:
                return None
            raise TarnError(
                f"packing stopped, for {attempt.task.name} was begun {ATTEMPTS} times, and each time its process or "
                f"node died, at last thus: {first_line(error)}: check the nodes' memory and health."
            ) from error
        if isinstance(found, str):
            raise TarnError(found)
        if isinstance(found, BaseException):
            raise found
        assert isinstance(found, Written)
        return found

    def stop(self, keep: Keep) -> None:
        """Nobody writes to the target when this is over. What is done all the same is kept."""
        left = list(self.running)
        with contextlib.suppress(self.ray.exceptions.RayError):
            self.bell.ring.remote()
            left = self.wait(left)
            for task in left:
                self.ray.cancel(task, force=True)
            left = self.wait(left)
        for task, attempt in self.running.items():
            with contextlib.suppress(TarnError, self.ray.exceptions.RayError):  # what stopped it is told
                if task not in left and (written := self.outcome(task, replace(attempt, number=0))) is not None:
                    keep(attempt.task, written)

    def wait(self, tasks: list[Any]) -> list[Any]:
        """Those that have not ended in time."""
        return list(self.ray.wait(tasks, num_returns=len(tasks), timeout=PATIENCE)[1]) if tasks else []


def by_value() -> Callable[[bytes, str, Any], Any]:
    """What runs on a node. A function within another goes there as its code, and not by its name, so that a node that
    has no Tarn, or another one, can say so."""

    def run(order: bytes, code: str, bell: Any) -> Any:
        import platform

        import ray

        try:
            from tarn.sharding.packing.engines.bell import Ear
            from tarn.sharding.packing.engines.node import carry_out
        except ImportError as error:
            return f"node {platform.node()} lacks Tarn, or has another one ({error}): install {code} on every node."
        return carry_out(order, code, Ear(ray, bell).listen)

    return run


def host_of(target: Target, task: Task) -> Host:
    """A target on a disk gets a token, by which nodes see that the disk is the same."""
    token, shared = uuid.uuid4().hex, None
    if storage.local_path(target.root) is not None:
        shared = str(task.folder.absolute())
        (Path(shared) / TOKEN).write_text(token)
    environment = {name: value for name, value in os.environ.items() if name.startswith(OF_STORES)}
    return Host(target, str(Path.cwd()), TOLD.store, environment, shared, token, task.preparation.describe())


def where(picture: Picture) -> str | None:
    """The path on this host's disk that leads to it: its file's, or its archive's; None in a store."""
    path = storage.local_path(str(picture.place))
    if path is None:
        return None
    path = path.absolute()
    return next((str(it) for it in (path, *path.parents) if os.access(it, os.F_OK)), None)


def first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
