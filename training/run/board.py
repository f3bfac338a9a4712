"""TensorBoard's event files, written in place: its own writer has a thread, whose end on a full disk is a traceback.

Figures of training and of validation have the same names and stand in different folders, `train`, `epoch` (the epoch's
mean in training) and `val`: TensorBoard takes those for runs, and draws them into one chart.
"""

import io
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tarn.training.run.appending import Appending


class Board:
    """Scalars for TensorBoard, in files of this process, one a folder. purge: the first step that older files no longer
    tell of."""

    def __init__(self, folder: Path, purge: int, warn: Callable[[str], object]) -> None:
        from torch.utils.tensorboard import summary  # slow to import: two seconds

        self.scalar = summary.scalar
        self.folder, self.purge, self.warn = folder, purge, warn
        self.files: dict[str, EventFile] = {}

    def add(self, kind: str, name: str, value: float, step: int) -> None:
        """kind: of a line of metrics.jsonl; name: of one of its figures."""
        folder, tag = place(kind, name)
        if folder not in self.files:
            self.files[folder] = EventFile(self.folder / folder, self.purge, self.warn)
        self.files[folder].write(summary=self.scalar(tag, value), step=step)  # type: ignore[no-untyped-call]

    def close(self) -> None:
        for file in self.files.values():
            file.close()


def place(kind: str, name: str) -> tuple[str, str]:
    """The folder that a figure stands in, and the chart."""
    if kind == "epoch":
        part, _, figure = name.partition("_")
        return {"val": ("val", figure), "train": ("epoch", figure)}.get(part, ("epoch", name))
    return "train", name if kind == "train" else f"{kind}/{name}"


class EventFile:
    """One file of events, as TensorBoard's event.proto has them."""

    def __init__(self, folder: Path, purge: int, warn: Callable[[str], object]) -> None:
        from tensorboard.compat.proto.event_pb2 import SessionLog  # type: ignore[import-untyped]

        name = f"events.out.tfevents.{int(time.time()):010d}.{socket.gethostname()}.{os.getpid()}.0"
        self.file = Appending(folder / name, warn)
        self.write(file_version="brain.Event:2")
        self.write(session_log=SessionLog(status=SessionLog.START), step=purge)

    def write(self, **event: Any) -> None:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.summary.writer.record_writer import RecordWriter  # type: ignore[import-untyped]

        record = io.BytesIO()
        RecordWriter(record).write(Event(wall_time=time.time(), **event).SerializeToString())
        self.file.append(record.getvalue())

    def close(self) -> None:
        self.file.close()
