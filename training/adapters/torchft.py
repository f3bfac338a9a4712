"""torchft: the batch of the step that a Manager commits next, divided among the replicas that take part in it.

A replica that dies costs nothing but its own work: the others get its share of the same global batch when the step is
tried again, and one that comes back gets its share of the next.
"""

from collections.abc import Callable
from typing import Any

from torchft import Manager

from tarn.training.adapters.numbered import EpochBatches, Form, as_it_is
from tarn.training.streaming.planned import PlannedLoader


class QuorumBatches:
    """make: a loader for (rank, world_size), called anew when the replicas change.

    Where the training stands is the manager's current_step() alone, so neither checkpoints nor healing carry a state of
    the stream. group_rank, group_size: of this process within its replica, where one has several.
    """

    def __init__(
        self,
        manager: Manager,
        make: Callable[[int, int], PlannedLoader],
        form: Form = as_it_is,
        group_rank: int = 0,
        group_size: int = 1,
    ) -> None:
        self.manager, self.make, self.form = manager, make, form
        self.group_rank, self.group_size = group_rank, group_size
        self.ranks: tuple[int, int] | None = None
        self.batches: EpochBatches | None = None

    def batch(self) -> Any:
        """To be called after start_quorum(). A replica that heals in this step gets rank 0's batch: the manager leaves
        its gradients out."""
        self.manager.wait_quorum()
        batches = self.shared(self.manager.participating_rank() or 0, self.manager.num_participants())
        epoch, step = divmod(self.manager.current_step(), batches.loader.plan.steps)
        batches.loader.set_epoch(epoch)
        return batches[[(epoch, step * batches.loader.parts(0))]]

    def shared(self, replica: int, replicas: int) -> EpochBatches:
        ranks = replica * self.group_size + self.group_rank, replicas * self.group_size
        if self.batches is None or self.ranks != ranks:
            self.close()
            self.batches, self.ranks = EpochBatches(self.make(*ranks), self.form), ranks
        return self.batches

    def close(self) -> None:
        if self.batches is not None:
            self.batches.loader.close()
