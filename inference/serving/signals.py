"""A signal that comes before the server that would follow it stands."""

import signal
from types import FrameType, TracebackType
from typing import Self


class Noted:
    """While a `with` lasts, one is noted and not followed: the kernel would end the process."""

    def __init__(self, number: signal.Signals) -> None:
        self.number, self.came = number, False

    def __enter__(self) -> Self:
        self.before = signal.signal(self.number, self.note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        signal.signal(self.number, self.before)

    def note(self, number: int, frame: FrameType | None) -> None:
        self.came = True
