"""Signals that ask a run to leave, with all kept."""

import signal
from types import FrameType, TracebackType
from typing import Any

from tarn.training.world.world import World


class Left(Exception):  # noqa: N818  it is no error
    """Raised, on all ranks alike, where a run leaves because it was asked to."""


class Interruption:
    """While entered, SIGTERM, SIGINT and SIGUSR1 raise a flag and do not end the process; a second SIGINT does."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.asked: signal.Signals | None = None
        self.insists = False
        self.before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> "Interruption":
        for name in ("SIGTERM", "SIGINT", "SIGUSR1"):
            if hasattr(signal, name):  # SIGUSR1 is unknown to Windows
                number = getattr(signal, name)
                self.before[number] = signal.signal(number, self.note)
        return self

    def note(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGINT and self.asked == signal.SIGINT:
            self.insists = True
            raise KeyboardInterrupt
        self.asked = signal.Signals(number)

    def leave_if_any_asked(self) -> None:
        """Called by all ranks at the same place. Raises Left on all of them where one was asked."""
        if self.world.any(self.asked is not None):
            raise Left

    def leave_if_asked(self) -> None:
        """Raises Left where this rank was asked: for what one rank does alone."""
        if self.asked is not None:
            raise Left

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)
