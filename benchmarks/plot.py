"""Bars of images/s by contender, on one core and on two. Needs matplotlib (the extra `bench`)."""

from pathlib import Path
from typing import Any

from benchmarks.contender import CONTENDERS

OURS, PEERS, SEED = "#1b7f79", "#9aa5b1", "#d1495b"


def plot(one: dict[str, dict[str, Any]], two: dict[str, dict[str, Any]], path: Path) -> None:
    from matplotlib import pyplot

    figure, panes = pyplot.subplots(1, 2, figsize=(12, 4.6), layout="constrained", sharey=True)
    names = sorted((name for name in one if name in two), key=lambda name: float(one[name]["rate"]))
    for pane, rows, title in zip(panes, (one, two), ("one core", "two cores"), strict=True):
        rates = [rows[name]["rate"] for name in names]
        colours = [OURS if name.startswith("tarn") else SEED if name == "seed" else PEERS for name in names]
        drawn = pane.barh(range(len(names)), rates, color=colours)
        pane.bar_label(
            drawn,
            [f"{rate:.0f}  ({rows[name]['ratio']:.1f}x)" for name, rate in zip(names, rates, strict=True)],
            padding=3,
        )
        pane.set(title=title, xlabel="images/s (x the seed's)", xlim=(0, max(rates) * 1.25))
        pane.set_yticks(range(len(names)), [CONTENDERS[name].words for name in names])
        pane.spines[["top", "right"]].set_visible(False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
