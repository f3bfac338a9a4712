"""Signals that ask a run to save and leave."""

import signal
from types import FrameType, TracebackType
from typing import Any


class Interruption:
    """While entered, SIGTERM, SIGINT and SIGUSR1 raise a flag and do not end the process; a second SIGINT does."""

    def __init__(self) -> None:
        self.asked: signal.Signals | None = None
        self.before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> "Interruption":
        for name in ("SIGTERM", "SIGINT", "SIGUSR1"):
            if hasattr(signal, name):  # SIGUSR1 is unknown to Windows
                number = getattr(signal, name)
                self.before[number] = signal.signal(number, self.note)
        return self

    def note(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGINT and self.asked == signal.SIGINT:
            raise KeyboardInterrupt
        self.asked = signal.Signals(number)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)
