"""The learning rate of a run as a plot for a terminal, with the rule that scaled it."""

import math
from collections.abc import Sequence

from tarn.training.recipe.optim import OptimConfig
from tarn.training.recipe.schedule import learning_rate
from tarn.training.run.changes import warm_up_note

COLUMNS, ROWS, TICKS = 64, 6, 4
BARS = " ▁▂▃▄▅▆▇█"
MARGIN = 10  # columns, left of the bars
FINE = 1000  # steps of an epoch, for the shape where the data do not tell how many there are


def schedule(optim: OptimConfig, steps: int | None) -> str:
    """From the first step to the last. steps: of an epoch, None where there are no data to tell, and optim.max_steps
    has no place in the plot."""
    of_epoch = steps or FINE
    last = optim.epochs * of_epoch
    if steps is not None:
        last = min(last, optim.max_steps or last)
    rates = [learning_rate(optim, round(at * (last - 1) / (COLUMNS - 1)), of_epoch) for at in range(COLUMNS)]
    summit = learning_rate(optim, min(last - 1, math.ceil(optim.warmup_epochs * of_epoch)), of_epoch)
    length = (
        f"{last:,} steps of {optim.global_batch} in {last / of_epoch:g} epochs" if steps else f"{optim.epochs} epochs"
    )
    told = [f"learning rate, {optim.schedule}, {length}"]
    told += [plot(rates, max(*rates, summit)), *axis(last / of_epoch), rule(optim)]
    if optim.schedule == "plateau":
        told.append(
            f"besides, the rate is multiplied by {optim.factor:g} (optim.factor) whenever the validation loss has not "
            f"improved for more than {optim.patience} epochs (optim.patience): when is not known before, and not drawn"
        )
    if optim.max_steps is not None and steps is None:
        told.append(f"optim.max_steps={optim.max_steps} ends the run before, where that is reached")
    note = warm_up_note(optim, of_epoch, last)
    return "\n".join([*told, f"Warning: {note}"] if note else told)


def rule(optim: OptimConfig) -> str:
    if optim.lr_for_batch is None:
        return (
            f"peak {optim.peak_lr:.6g} = optim.lr: it stays when the global batch changes, for optim.lr_for_batch is "
            "not set"
        )
    return (
        f"peak {optim.peak_lr:.6g} = optim.lr {optim.lr:g} x global_batch {optim.global_batch} / lr_for_batch "
        f"{optim.lr_for_batch}: it grows linearly with the global batch"
    )


def plot(values: Sequence[float], top: float) -> str:
    """Bars of ROWS lines, `top` as high as the first line, with both ends of the scale at the left."""
    heights = [round(value / top * ROWS * 8) if top > 0 else 0 for value in values]
    lines = []
    for row in reversed(range(ROWS)):
        label = f"{top:.4g}" if row == ROWS - 1 else "0" if row == 0 else ""
        bars = "".join(BARS[min(8, max(0, height - row * 8))] for height in heights)
        lines.append(f"{label:>{MARGIN - 1}} |{bars}".rstrip())
    return "\n".join(lines)


def axis(epochs: float) -> list[str]:
    """Two lines beneath the bars: ticks, and the epochs at which they stand."""
    places = [round(COLUMNS * tick / TICKS) for tick in range(TICKS + 1)]
    rule = "".join("+" if at in places else "-" for at in range(COLUMNS + 1))
    words = f"{'epoch':<{MARGIN}}".ljust(MARGIN + COLUMNS + 8)
    for tick, place in enumerate(places):
        text = f"{epochs * tick / TICKS:.4g}"
        first = MARGIN + place - (len(text) // 2 if tick else 0)
        words = words[:first] + text + words[first + len(text) :]
    return [" " * MARGIN + rule, words.rstrip()]
