"""python -m tarn.training fit --dry-run: the recipe as it would be trained, its schedule as a plot, and its cost."""

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tarn.sharding.format.manifest import read_manifest
from tarn.training.forecast.planning import add_arguments, plan_of, plan_text

if TYPE_CHECKING:
    from tarn.training.run.config import RunConfig  # needs torch, which takes two seconds to import

COLUMNS, ROWS = 64, 6
BARS = " ▁▂▃▄▅▆▇█"


def outlook(config: "RunConfig") -> str:
    """Nothing is written. Raises what check_buildable and, for a machine of its defaults, plan_text raise."""
    from tarn.training.coercion import to_yaml
    from tarn.training.run.building import check_buildable

    check_buildable(config, read_manifest(config.data.shards, config.data.storage_options))
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    parts = [to_yaml(config).rstrip(), *schedule(config), plan_text(config, parser.parse_args([]))]
    return "\n\n".join(parts)


def schedule(config: "RunConfig") -> list[str]:
    """The learning rate from the first step to the last, and the rule that scaled it."""
    from tarn.training.recipe.schedule import learning_rate

    optim, steps = config.optim, plan_of(config, ranks=1)[1].steps
    last = min(optim.epochs * steps, optim.max_steps or optim.epochs * steps)
    rates = [learning_rate(optim, round(at * (last - 1) / (COLUMNS - 1)), steps) for at in range(COLUMNS)]
    told = f"learning rate, {optim.schedule}, {last:,} steps of {optim.global_batch} in {last / steps:g} epochs"
    rule = ""
    if optim.lr_for_batch:
        rule = (
            f"\npeak {optim.peak_lr:.6g} = optim.lr {optim.lr:g} x global_batch {optim.global_batch} / lr_for_batch "
            f"{optim.lr_for_batch}: it grows linearly with the global batch"
        )
    elif optim.schedule != "plateau":
        rule = "\noptim.lr_for_batch is not set: the rate stays when the global batch changes"
    return [f"{told}\n{plot(rates)}{rule}"]


def plot(values: Sequence[float]) -> str:
    """Bars of ROWS lines, the largest value as high as the first line, with both ends of the scale at the left."""
    top = max(values)
    heights = [round(value / top * ROWS * 8) if top > 0 else 0 for value in values]
    lines = []
    for row in reversed(range(ROWS)):
        label = f"{top:.4g}" if row == ROWS - 1 else "0" if row == 0 else ""
        bars = "".join(BARS[min(8, max(0, height - row * 8))] for height in heights)
        lines.append(f"{label:>9} |{bars}".rstrip())
    return "\n".join(lines)
