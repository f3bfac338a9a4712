import json
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tarn.training.run.journal import Journal, JournalConfig


@contextmanager
def full_disk(limit: int) -> Iterator[None]:
    """The kernel refuses what would make any file longer than `limit` bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_what_only_tells_warns_once_for_each_file_when_the_disk_is_full_and_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Journal(tmp_path, JournalConfig(), speaks=True) as journal:
        with full_disk(1000):
            for step in range(100):
                journal.record("train", step, {"loss": 1.0 / 3})
                journal.say(f"step {step} is done, and this is a sentence of some length about it")
        journal.record("train", 100, {"loss": None})
    said = capsys.readouterr().out
    assert said.count("Warning: ") == 3
    for name in ("metrics.jsonl", "train.log", "tfevents"):
        assert sum(name in line for line in said.splitlines() if "Warning" in line) == 1
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [
        *range(len(lines) - 1),
        100,
    ]  # no torn line; told again once there is room
    assert lines[-1]["loss"] is None


def test_tensorboard_reads_the_scalars_of_a_resumed_run_without_those_of_a_lost_stretch(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    for start, steps in ((0, range(1, 6)), (3, range(4, 8))):
        with Journal(tmp_path, JournalConfig(), speaks=True, step=start) as journal:
            for step in steps:
                journal.record("train", step, {"loss": start + step / 8, "epoch": 0})
        for path in (tmp_path / "tensorboard").glob("*.0"):
            path.rename(path.with_suffix(f".{start + 1}"))
    board = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert board.Tags()["scalars"] == ["train/loss"]
    told = {(event.step, event.value) for event in board.Scalars("train/loss")}
    assert told >= {(step, 3 + step / 8) for step in range(4, 8)}
    assert (5, 0.625) not in told
