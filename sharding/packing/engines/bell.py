"""How tasks on the nodes of a Ray cluster hear that the command leaves: they ask an actor, and end by themselves.

Ray's own cancelling ends the command now and then, when a task is done in the same moment ("Tried to complete task that
was not pending": pull request 54738 of ray-project/ray tells of the race), so that is left to tasks that do not answer.
"""

import importlib
import time
from typing import Any

from tarn.sharding.errors import TarnError

PERIOD = 0.2  # s between an answer and the next question


def bell() -> type:
    """The actor's class: within a function, so that it goes to a node as its code, and needs no Tarn there."""

    class Bell:
        rung = False

        def ring(self) -> None:
            self.rung = True

        def is_rung(self) -> bool:
            return self.rung

    return Bell


def hung(ray: Any) -> Any:
    """The actor, on the node that this process is on: it is there as long as whoever rings it."""
    here = importlib.import_module("ray.util.scheduling_strategies").NodeAffinitySchedulingStrategy(
        ray.get_runtime_context().get_node_id(), soft=True
    )
    return ray.remote(num_cpus=0, scheduling_strategy=here)(bell()).remote()


class Ear:
    """A task's. It never waits: a question is under way, and the answer is taken when it is there."""

    def __init__(self, ray: Any, bell: Any) -> None:
        self.ray, self.bell = ray, bell
        self.asked, self.next = bell.is_rung.remote(), 0.0

    def listen(self, pictures: int = 0, data: int = 0) -> None:
        """As somebody who is told of pictures. Raises TarnError where the bell has rung, not where it is lost with its
        node: whoever rang it ends this process by force then."""
        now = time.monotonic()
        if self.asked is None:
            if now >= self.next:
                self.asked = self.bell.is_rung.remote()
            return
        if not self.ray.wait([self.asked], timeout=0)[0]:
            return
        try:
            rung = self.ray.get(self.asked)
        except self.ray.exceptions.RayError:
            rung = False
        if rung:
            raise TarnError("packing was stopped.")
        self.asked, self.next = None, now + PERIOD
