"""A Ray cluster of several nodes on this machine, each with processes of its own, which can really be killed."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

NODES = 3
STARTS = 3  # a busy machine may take longer for a node than the half minute that Ray allows
TASK = "ray::run"
SMALL = {"num_cpus": 1, "object_store_memory": 100 * 2**20, "include_dashboard": False}


class LocalCluster:
    """folder: of all logs, and of the note by which Ray finds the cluster of a host: another one's stays."""

    def __init__(self, folder: Path) -> None:
        from ray.cluster_utils import Cluster

        self.folder = folder
        with patch.dict(os.environ, RAY_TMPDIR=str(folder)):
            self.cluster: Any = Cluster(initialize_head=True, head_node_args=SMALL)
            self.address: str = self.cluster.address
            self.complete()

    def complete(self) -> None:
        """Nodes in place of those that were killed. The test process is on the first, which stays."""
        while len(self.cluster.list_all_nodes()) < NODES:
            self.cluster.add_node(**SMALL)

    def stop(self) -> None:
        with patch.dict(os.environ, RAY_TMPDIR=str(self.folder)), contextlib.suppress(Exception):
            self.cluster.shutdown()  # one of its nodes may not have come up
        stop_processes(self.folder)

    def processes_of_one(self) -> list[Any]:
        """Of a node that the test process is not on."""
        import psutil

        node = next(iter(self.cluster.worker_nodes))
        started = [psutil.Process(it.process.pid) for kind in node.all_processes.values() for it in kind]
        return [process for first in started for process in (first, *first.children(recursive=True))]

    def freeze_one_at_work(self) -> bool:
        """The same node, where a process of it is in a task: Ray's workers are titled by what they run."""
        import psutil

        for process in self.processes_of_one():
            with contextlib.suppress(psutil.NoSuchProcess):  # it ended meanwhile
                process.suspend()
                if process.cmdline()[:1] == [TASK]:
                    for other in self.processes_of_one():
                        other.suspend()
                    return True
                process.resume()
        return False

    def forget_it(self) -> None:
        self.cluster.remove_node(next(iter(self.cluster.worker_nodes)), allow_graceful=False)


@contextmanager
def local_cluster() -> Iterator[LocalCluster]:
    """With this process connected to it. Nothing of it runs at the end."""
    import ray

    cluster = started()
    try:
        ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
        yield cluster
    finally:
        ray.shutdown()
        cluster.stop()
        shutil.rmtree(cluster.folder, ignore_errors=True)


def started() -> LocalCluster:
    for left in reversed(range(STARTS)):
        folder = Path(tempfile.mkdtemp(prefix="ray-"))  # sockets lie there, whose paths must be short
        try:
            return LocalCluster(folder)
        except Exception:  # Ray has no kind of its own for it
            stop_processes(folder)
            shutil.rmtree(folder, ignore_errors=True)
            if not left:
                raise
    raise AssertionError


def stop_processes(folder: Path) -> None:
    """Those of a cluster that name its folder; their own children end with them."""
    import psutil

    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if str(folder) in " ".join(process.cmdline()):
                process.kill()
