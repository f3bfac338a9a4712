"""Whether processes are gone that nobody here has started."""

import time
from collections.abc import Sequence
from pathlib import Path


def end_within(seconds: float, processes: Sequence[int]) -> bool:
    """Waits for all of these to end."""
    deadline = time.monotonic() + seconds
    while any(map(is_running, processes)) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not any(map(is_running, processes))


def is_running(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False
