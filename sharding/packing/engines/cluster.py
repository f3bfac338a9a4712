"""`--engine ray`: shards made by the nodes of a Ray cluster (Moritz et al., Ray: A Distributed Framework for Emerging
AI Applications, OSDI 2018).

The command has the lock and keeps the records, as without a cluster; nodes read the source, and put shards in their
places. So both lie in stores, or on a disk that all nodes share.
"""

import contextlib
import importlib
import logging
import os
import re
import signal
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tarn.sharding.errors import TarnError, UsageError
from tarn.sharding.packing.engines.dispatch import Dispatch, first_line
from tarn.sharding.packing.engines.engine import Advance, Keep
from tarn.sharding.packing.publishing import Target
from tarn.sharding.packing.writer import Task

# Of Ray, when it is imported: `uv run` sends no working folder to all nodes, and what happens to nodes is not printed.
SETTINGS = {
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".",
}
ANSWER = 10.0  # s for the head to take a connection; Ray itself waits for minutes


@dataclass(frozen=True, slots=True)
class Cluster:
    """address: of its head, host:port; None: RAY_ADDRESS, or the cluster that this host is a node of."""

    address: str | None = None

    def __post_init__(self) -> None:
        if self.address is not None and not re.fullmatch(r"[^/]+:\d+", self.address):
            raise UsageError(
                f"--address={self.address!r} is no HOST:PORT: give that of the head, on one of the cluster's nodes."
            )

    @contextmanager
    def ready(self) -> Iterator[None]:
        ray = load()
        if ray.is_initialized():  # by whoever calls this as a library
            yield
            return
        connect(ray, self.address)
        try:
            cores_of(ray)
            yield
        finally:
            ray.shutdown()

    def at_a_time(self, tasks: Sequence[Task]) -> int:
        """As many as the cluster has cores."""
        return cores_of(load())

    def make(self, tasks: Sequence[Task], target: Target, workers: int, keep: Keep, advance: Advance) -> None:
        ray = load()
        try:
            Dispatch(ray, target, tasks, workers).run(tasks, keep, advance)
        except ray.exceptions.RayTaskError:
            raise
        except ray.exceptions.RayError as error:
            raise TarnError(f"packing stopped, for the Ray cluster is lost ({first_line(error)}).") from error


def load() -> Any:
    """Raises TarnError where Ray is not installed."""
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    try:
        return importlib.import_module("ray")
    except ImportError as error:
        raise TarnError(
            f"--engine ray needs Ray, which is not here ({error}): install it by `pip install 'tarn-train[ray]'`, on "
            "every node."
        ) from error


def cores_of(ray: Any) -> int:
    """Raises TarnError where there are none, and tasks would wait for ever."""
    cores = int(ray.cluster_resources().get("CPU", 0))
    if not cores:
        raise TarnError("the Ray cluster has no CPUs: start nodes by `ray start --address=HEAD:PORT`.")
    return cores


def connect(ray: Any, address: str | None) -> None:
    """Quietly, and the handler of SIGTERM stays the command's. Raises TarnError."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        if address is not None:
            host, _, port = address.rpartition(":")
            socket.create_connection((host.strip("[]"), int(port)), ANSWER).close()
        ray.init(address=address or "auto", log_to_driver=False, logging_level=logging.ERROR)
    except Exception as error:  # of many kinds
        with contextlib.suppress(Exception):
            ray.shutdown()
        raise TarnError(
            f"no Ray cluster can be reached at {address or 'this host'} ({first_line(error)}): start one by `ray start "
            "--head`, run the command on one of its nodes, or give another --address."
        ) from error
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)
