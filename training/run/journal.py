"""What a run tells: console and log file, progress bars, metrics.jsonl, TensorBoard. Only rank 0 tells anything."""

import contextlib
import json
import logging
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from tqdm import tqdm

from tarn.sharding.errors import UsageError
from tarn.sharding.progress import progress_bar
from tarn.sharding.storage.local import write_whole

COLUMNS = ("epoch", "lr", "train loss", "top-1", "top-5", "val loss", "top-1", "top-5", "images/s", "data wait")
LAYOUT = "{:>5}  {:>9}  {:>10}  {:>7}  {:>7}  {:>8}  {:>7}  {:>7}  {:>9}  {:>9}"


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalConfig:
    """every_steps: how often the figures of the training steps are read from the device and written down.

    keys: write down the key of every sample that a step saw (trace.py).
    """

    every_steps: int = 10
    tensorboard: bool = True
    keys: bool = False

    def __post_init__(self) -> None:
        if self.every_steps < 1:
            raise UsageError(f"journal.every_steps={self.every_steps} must be at least 1.")


class Journal:
    """Writes under the run's folder: train.log, metrics.jsonl, tensorboard/. Silent on other ranks than 0."""

    def __init__(self, run: Path, config: JournalConfig, speaks: bool, step: int = 0) -> None:
        self.speaks = speaks
        self.run = run
        self.bar: tqdm[Any] | None = None
        self.board: Any = None
        self.logger = logging.Logger("tarn")  # an own one: nothing global is changed
        if not speaks:
            self.logger.addHandler(logging.NullHandler())
            return
        run.mkdir(parents=True, exist_ok=True)
        file = logging.FileHandler(run / "train.log", encoding="utf-8")
        file.setFormatter(logging.Formatter("%(asctime)s  %(message)s"))
        self.logger.addHandler(file)
        self.logger.addHandler(BarSafeHandler())
        self.forget_after(step)
        self.lines = (run / "metrics.jsonl").open("a", encoding="utf-8")
        if config.tensorboard:
            from torch.utils.tensorboard import SummaryWriter  # slow to import: two seconds

            self.board = SummaryWriter(str(run / "tensorboard"), purge_step=step + 1)

    def forget_after(self, step: int) -> None:
        """Drops the lines of steps that a killed run took after the checkpoint from which this one goes on."""
        path = self.run / "metrics.jsonl"
        if not path.exists():
            return
        lines = path.read_text("utf-8").splitlines(keepends=True)
        kept = [line for line in lines if line.endswith("\n") and is_up_to(line, step)]
        if len(kept) != len(lines):
            write_whole(path, "".join(kept))

    def say(self, text: str) -> None:
        """One message for a human."""
        self.logger.info(text)

    def record(self, kind: str, step: int, figures: Mapping[str, float]) -> None:
        """Figures for a machine: one JSON line, and a TensorBoard scalar each."""
        if not self.speaks:
            return
        self.lines.write(json.dumps({"kind": kind, "step": step, **figures}) + "\n")
        self.lines.flush()
        if self.board is not None:
            for name, value in figures.items():
                if name != "epoch":
                    self.board.add_scalar(f"{kind}/{name}", value, step)

    def table_head(self) -> None:
        self.say(LAYOUT.format(*COLUMNS))

    def table_line(self, figures: Mapping[str, float]) -> None:
        """One line for an epoch; keys as trainer.py's epoch figures."""
        percent = [f"{figures[name]:.2%}" for name in ("train_top1", "train_top5", "val_top1", "val_top5")]
        self.say(
            LAYOUT.format(
                int(figures["epoch"]),
                f"{figures['lr']:.3g}",
                f"{figures['train_loss']:.4f}",
                *percent[:2],
                f"{figures['val_loss']:.4f}",
                *percent[2:],
                f"{figures['images_per_second']:.1f}",
                f"{figures['data_wait']:.1%}",
            )
        )

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
