"""What a run tells: console and log file, progress bars, metrics.jsonl, TensorBoard. Only rank 0 tells anything."""

import contextlib
import json
import logging
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from tqdm import tqdm

from tarn.sharding.errors import UsageError
from tarn.sharding.progress import progress_bar
from tarn.sharding.storage.local import write_whole
from tarn.training.run import table
from tarn.training.run.appending import Appending
from tarn.training.run.board import Board

Figures = dict[str, float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalConfig:
    """What is told of a run."""

    every_steps: int = 10
    """How often the figures of the training steps are read from the device and written down."""
    tensorboard: bool = True
    """Write them for TensorBoard too."""
    keys: bool = False
    """Write down the key of every sample that a step saw (RUN/keys)."""

    def __post_init__(self) -> None:
        if self.every_steps < 1:
            raise UsageError(f"journal.every_steps={self.every_steps} must be at least 1.")


class Journal:
    """Writes under the run's folder: train.log, metrics.jsonl, tensorboard/. Silent on other ranks than 0."""

    def __init__(self, run: Path, config: JournalConfig, speaks: bool, step: int = 0) -> None:
        self.speaks = speaks
        self.run = run
        self.bar: tqdm[Any] | None = None
        self.board: Board | None = None
        self.epochs_told: set[int] = set()  # by their last step
        self.logger = logging.Logger("tarn")  # an own one: nothing global is changed
        if not speaks:
            self.logger.addHandler(logging.NullHandler())
            return
        run.mkdir(parents=True, exist_ok=True)
        file = LogFile(run / "train.log", self.say)
        file.setFormatter(logging.Formatter("%(asctime)s  %(message)s"))
        self.logger.addHandler(file)
        self.logger.addHandler(BarSafeHandler())
        self.forget_after(step)
        self.lines = Appending(run / "metrics.jsonl", self.say)
        if config.tensorboard:
            self.board = Board(run / "tensorboard", step + 1, self.say)

    def forget_after(self, step: int) -> None:
        """Drops the lines of steps that a killed run took after the checkpoint from which this one goes on."""
        path = self.run / "metrics.jsonl"
        if not path.exists():
            return
        lines = path.read_text("utf-8").splitlines(keepends=True)
        kept = [line for line in lines if line.endswith("\n") and is_up_to(line, step)]
        if len(kept) != len(lines):
            write_whole(path, "".join(kept))
        told = [json.loads(line) for line in kept]
        self.epochs_told = {int(line["step"]) for line in told if line.get("kind") == "epoch"}

    def say(self, text: str) -> None:
        """One message for a human."""
        self.logger.info(text)

    def record(self, kind: str, step: int, figures: Mapping[str, float | None]) -> None:
        """Figures for a machine: one JSON line, and a TensorBoard scalar each; null and nothing for None."""
        if not self.speaks:
            return
        self.lines.append((json.dumps({"kind": kind, "step": step, **figures}) + "\n").encode())
        if self.board is not None:
            for name, value in figures.items():
                if name != "epoch" and value is not None:
                    self.board.add(kind, name, value, step)

    def table_head(self) -> None:
        self.say(table.HEAD)

    def end_epoch(self, step: int, figures: Figures) -> None:
        """An epoch's line, once: a run that was killed behind its validation tells what it had no time to tell."""
        if step not in self.epochs_told:
            self.epochs_told.add(step)
            self.record("epoch", step, figures)
            self.say(table.line(figures))

    def start_bar(self, title: str, total: int, done: int = 0) -> None:
        """A bar in images."""
        if self.speaks:
            self.bar = progress_bar(total, title, "img", done)

    def advance_bar(self, images: int, figures: Mapping[str, str] | None = None) -> None:
        if self.bar is not None:
            if figures:
                self.bar.set_postfix(figures, refresh=False)
            self.bar.update(images)

    def end_bar(self) -> None:
        if self.bar is not None:
            self.bar.close()
            self.bar = None

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.end_bar()
        if self.speaks:
            self.lines.close()
        if self.board is not None:
            self.board.close()
        for handler in list(self.logger.handlers):
            handler.close()
            self.logger.removeHandler(handler)


class LogFile(logging.Handler):
    """train.log, as long as it can be written."""

    def __init__(self, path: Path, warn: Callable[[str], object]) -> None:
        super().__init__()
        self.file = Appending(path, warn)

    def emit(self, record: logging.LogRecord) -> None:
        self.file.append((self.format(record) + "\n").encode())

    def close(self) -> None:
        self.file.close()
        super().close()


class BarSafeHandler(logging.Handler):
    """Prints to standard output without tearing a progress bar apart. A run outlives whoever reads it there."""

    def emit(self, record: logging.LogRecord) -> None:
        with contextlib.suppress(OSError):
            tqdm.write(record.getMessage(), file=sys.stdout)
            sys.stdout.flush()


def is_up_to(line: str, step: int) -> bool:
    try:
        return int(json.loads(line)["step"]) <= step
    except (ValueError, KeyError, TypeError):
        return False
