"""Progress bars: lively on a terminal; elsewhere, where every drawing is a line of a log, rare."""

import sys
from typing import Any

from tqdm import tqdm


def progress_bar(total: int, title: str, unit: str, done: int = 0) -> "tqdm[Any]":
    """On standard error, gone when closed. Bytes (unit B) are shown as kB, MB ...

    Without a terminal nothing is drawn in the first half minute, and then one line each half minute.
    """
    pause = 0.2 if sys.stderr.isatty() else 30.0
    return tqdm(
        total=total,
        initial=done,
        desc=title,
        unit=unit,
        unit_scale=unit == "B",
        leave=False,
        mininterval=pause,
        delay=0 if sys.stderr.isatty() else pause,
    )
