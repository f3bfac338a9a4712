import json
import math
import re
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from support.disks import full_disk
from tarn.training.run import table
from tarn.training.run.board import place
from tarn.training.run.journal import Journal, JournalConfig


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


def scalars(folder: Path, tag: str) -> set[tuple[int, float]]:
    board = EventAccumulator(str(folder)).Reload()  # type: ignore[no-untyped-call]
    return {(event.step, event.value) for event in board.Scalars(tag)}


def test_tensorboard_reads_the_scalars_of_a_resumed_run_without_those_of_a_lost_stretch(tmp_path: Path) -> None:
    for start, steps in ((0, range(1, 6)), (3, range(4, 8))):
        with Journal(tmp_path, JournalConfig(), speaks=True, step=start) as journal:
            for step in steps:
                journal.record("train", step, {"loss": start + step / 8, "epoch": 0})
        for path in (tmp_path / "tensorboard" / "train").glob("*.0"):
            path.rename(path.with_suffix(f".{start + 1}"))
    told = scalars(tmp_path / "tensorboard" / "train", "loss")
    assert told >= {(step, 3 + step / 8) for step in range(4, 8)}
    assert (5, 0.625) not in told


EPOCH = {
    "epoch": 999, "lr": 1.234e-5, "train_loss": 123.4567, "train_top1": 1.0, "train_top5": 1.0, "val_loss": 123.4567,
    "val_top1": 1.0, "val_top5": 1.0, "images_per_second": 100_000.0, "data_wait": 1.0,
}  # fmt: skip


def test_training_and_validation_share_their_charts_in_tensorboard(tmp_path: Path) -> None:
    with Journal(tmp_path, JournalConfig(), speaks=True) as journal:
        journal.record("train", 5, {"loss": 0.5, "top1": 0.25, "lr": 0.125, "data_retries": 3})
        journal.record("checkpoint", 6, {"seconds": 2.0})
        journal.end_epoch(6, {**EPOCH, "train_loss": 0.75, "val_loss": 1.5, "val_top1": None})
    runs = tmp_path / "tensorboard"
    assert sorted(path.name for path in runs.iterdir()) == ["epoch", "train", "val"]  # TensorBoard's runs
    assert [scalars(runs / name, "loss") for name in ("train", "epoch", "val")] == [{(5, 0.5)}, {(6, 0.75)}, {(6, 1.5)}]
    assert scalars(runs / "train", "checkpoint/seconds") == {(6, 2.0)}
    assert scalars(runs / "epoch", "images_per_second") == {(6, 100_000.0)}
    val = EventAccumulator(str(runs / "val")).Reload()  # type: ignore[no-untyped-call]
    assert sorted(val.Tags()["scalars"]) == ["loss", "top5"]


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"train_loss": 1.23e20, "val_loss": 98_765.4321},
        {"epoch": 123_456, "images_per_second": 12_345_678.0, "lr": 0.000123},
        {"val_loss": None, "val_top1": None, "val_top5": None},
        {"train_loss": math.nan, "val_loss": math.inf, "lr": 1.0},
    ],
)
def test_the_table_of_epochs_fits_eighty_columns_and_its_figures_stand_below_their_headings(
    changed: dict[str, float | None],
) -> None:
    line = table.line({**EPOCH, **changed})
    assert len(line) == len(table.HEAD) < 80
    ends = [found.end() for found in re.finditer(r"\S+(?: loss)?", table.HEAD)]
    assert [found.end() for found in re.finditer(r"\S+", line)] == ends


def test_the_table_tells_the_figures() -> None:
    assert table.line(EPOCH).split() == ["999", "1.23e-05", "123.4567", "100.00%", "123.4567", "100.00%", "100.00%",
                                         "100000", "100%"]  # fmt: skip


def test_the_top_1_of_an_average_takes_the_place_of_top_5() -> None:
    line = table.line({**EPOCH, "val_ema_loss": 1.0, "val_ema_top1": 0.125, "val_ema_top5": 0.5})
    assert line.split()[5:7] == ["100.00%", "12.50%"]
    assert len(line) == len(table.AVERAGE_HEAD) == len(table.HEAD)
    assert table.AVERAGE_HEAD.split()[-3] == "ema"
    assert place("epoch", "val_ema_top1") == ("val_ema", "top1")
