"""Who may use a loader: the process that made it, as long as it is open."""

import os

from tarn.sharding.errors import TarnError


class Owner:
    """Made where the loader is. Files and pipes of a loader are one process's: two that read them mix up batches."""

    def __init__(self) -> None:
        self.process, self.is_open = os.getpid(), True

    @property
    def is_here(self) -> bool:
        return os.getpid() == self.process

    @property
    def may_use(self) -> bool:
        return self.is_here and self.is_open

    def check(self) -> None:
        """Raises TarnError where the loader is closed, and in a fork of the process that made it."""
        if not self.is_here:
            raise TarnError(
                f"this loader was made by process {self.process} and is used in {os.getpid()}, a fork of it: make it "
                "in the process that iterates it (it has workers of its own: put no DataLoader with workers around it)."
            )
        if not self.is_open:
            raise TarnError("this loader is closed: make another one, and load this one's state_dict() into it.")
