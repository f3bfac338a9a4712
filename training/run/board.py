"""TensorBoard's event file, written in place: its own writer has a thread, whose end on a full disk is a traceback."""

import io
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tarn.training.run.appending import Appending


class Board:
    """Scalars for TensorBoard, in a file of this process. purge: the first step that older files no longer tell of."""

    def __init__(self, folder: Path, purge: int, warn: Callable[[str], object]) -> None:
        from tensorboard.compat.proto.event_pb2 import SessionLog  # type: ignore[import-untyped]
        from torch.utils.tensorboard import summary  # slow to import: two seconds

        self.scalar = summary.scalar
        name = f"events.out.tfevents.{int(time.time()):010d}.{socket.gethostname()}.{os.getpid()}.0"
        self.file = Appending(folder / name, warn)
        self.write(file_version="brain.Event:2")
        self.write(session_log=SessionLog(status=SessionLog.START), step=purge)

    def add_scalar(self, name: str, value: float, step: int) -> None:
        self.write(summary=self.scalar(name, value), step=step)  # type: ignore[no-untyped-call]

    def write(self, **event: Any) -> None:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.summary.writer.record_writer import RecordWriter  # type: ignore[import-untyped]

        record = io.BytesIO()
        RecordWriter(record).write(Event(wall_time=time.time(), **event).SerializeToString())
        self.file.append(record.getvalue())

    def close(self) -> None:
        self.file.close()
