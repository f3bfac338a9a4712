import pytest

from tarn.training.forecast.curve import COLUMNS, MARGIN, ROWS, axis, plot, schedule
from tarn.training.recipe.optim import OptimConfig


def test_a_plot_rises_and_falls_with_its_values() -> None:
    lines = plot([0.0, 0.5, 1.0, 0.5, 0.0], 1.0).splitlines()
    assert len(lines) == ROWS
    bars = [line.split("|")[1].ljust(5) for line in lines]
    heights = [sum(line[at] != " " for line in bars) for at in range(5)]
    assert heights == [0, ROWS // 2, ROWS, ROWS // 2, 0]
    assert lines[0].split()[0] == "1"


def test_an_axis_tells_the_epochs_beneath_their_ticks() -> None:
    ticks, words = axis(18)
    assert [at - MARGIN for at, sign in enumerate(ticks) if sign == "+"] == [0, 16, 32, 48, COLUMNS]
    assert words.split() == ["epoch", "0", "4.5", "9", "13.5", "18"]
    assert words.index("9") == MARGIN + 32


def test_the_peak_is_the_schedules_own_where_no_column_stands_on_it() -> None:
    optim = OptimConfig(epochs=16, warmup_epochs=3, schedule="triangle", lr=0.1)
    assert schedule(optim, 147).splitlines()[1].split()[0] == "0.1"


def test_a_schedule_that_ends_before_its_peak_says_so() -> None:
    told = schedule(OptimConfig(epochs=2, warmup_epochs=3, schedule="triangle", lr=0.1), 147)
    assert "Warning: The warm-up of optim.warmup_epochs=3" in told
    assert "never reaches its peak of 0.1" in told
    assert "Warning" not in schedule(OptimConfig(epochs=4, warmup_epochs=3), 147)
    assert "Warning" in schedule(OptimConfig(epochs=4, warmup_epochs=3, max_steps=100), 147)


@pytest.mark.parametrize("schedule_", ["cosine", "plateau"])
def test_every_schedule_tells_what_scaled_it(schedule_: str) -> None:
    scaled = OptimConfig(schedule=schedule_, lr=0.5, global_batch=512, lr_for_batch=256, warmup_epochs=0)
    assert "peak 1 = optim.lr 0.5 x global_batch 512 / lr_for_batch 256" in schedule(scaled, 10)
    assert "optim.lr_for_batch is not set" in schedule(OptimConfig(schedule=schedule_, warmup_epochs=0), 10)


def test_plateau_tells_that_its_drops_are_not_drawn() -> None:
    told = schedule(OptimConfig(schedule="plateau", factor=0.5, patience=3, warmup_epochs=0), 10)
    assert "multiplied by 0.5 (optim.factor) whenever the validation loss has not improved for more than 3" in told


def test_without_data_a_schedule_is_told_by_epochs() -> None:
    told = schedule(OptimConfig(epochs=8, max_steps=70), None)
    assert told.startswith("learning rate, cosine, 8 epochs\n")
    assert "epoch     0               2               4               6               8" in told
    assert "optim.max_steps=70 ends the run before" in told
