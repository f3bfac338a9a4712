"""The table of epochs: a line for each, no wider than a terminal of 80 columns. metrics.jsonl has all figures."""

from collections.abc import Mapping

# Heading, figure, width, format. Train top-5 is left out for the sake of the width.
COLUMNS = (
    ("epoch", "epoch", 5, ".0f"),
    ("lr", "lr", 8, ".3g"),
    ("train loss", "train_loss", 10, ".4f"),
    ("top-1", "train_top1", 7, ".2%"),
    ("val loss", "val_loss", 8, ".4f"),
    ("top-1", "val_top1", 7, ".2%"),
    ("top-5", "val_top5", 7, ".2%"),
    ("img/s", "images_per_second", 6, ".0f"),
    ("wait", "data_wait", 5, ".0%"),
)
HEAD = "  ".join(f"{heading:>{width}}" for heading, _, width, _ in COLUMNS)


def line(figures: Mapping[str, float | None]) -> str:
    """Of an epoch's figures, as the trainer tells them; `-` for what no number can be told of."""
    return "  ".join(f"{cell(figures.get(name), width, form):>{width}}" for _, name, width, form in COLUMNS)


def cell(value: float | None, width: int, form: str) -> str:
    """The figure with as many digits as its column has room for."""
    if value is None:
        return "-"
    text = format(value, form)
    return text if len(text) <= width else f"{value:.{max(0, width - 6)}e}"
