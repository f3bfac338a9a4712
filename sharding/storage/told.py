"""What the running command was told of stores: a fact of the process, as the stores' environment variables are.

It reaches all that reads or writes on the command's behalf, until the command is over."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tarn.sharding.errors import UsageError

CHOICES = ("auto", "obstore", "fsspec")
DEADLINE = 120.0  # s without a byte


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """options: in fsspec's words; client: auto, obstore or fsspec; deadline: seconds without a byte.

    Raises UsageError.
    """

    options: Mapping[str, Any] = field(default_factory=dict)
    client: str = "auto"
    deadline: float = DEADLINE

    def __post_init__(self) -> None:
        if self.client not in CHOICES:
            raise UsageError(f"--client={self.client!r} is unknown: choose one of {', '.join(CHOICES)}.")
        if not self.deadline > 0:
            raise UsageError(f"--deadline={self.deadline:g} must be above 0 seconds.")


class Told:
    """What the running command said of stores."""

    def __init__(self) -> None:
        self.store = Store()


TOLD = Told()


@contextmanager
def told(store: Store) -> Iterator[None]:
    """For as long as a command runs."""
    before, TOLD.store = TOLD.store, store
    try:
        yield
    finally:
        TOLD.store = before
