"""What ended a rank, told to its launcher.

torchrun reads the file that TORCHELASTIC_ERROR_FILE names (https://pytorch.org/docs/stable/elastic/errors.html, "Error
Propagation"), and puts what stands there into its report. Our own launcher (launch.py) reads the same, and then is the
only one to tell it: once, and last.
"""

import json
import os
import time
from collections.abc import Mapping

from tarn.sharding.errors import TarnError

FILE, TOLD_BY_LAUNCHER = "TORCHELASTIC_ERROR_FILE", "TARN_LAUNCHER_TELLS"


class LostRankError(TarnError):
    """Another rank is gone: no cause, but what follows from it."""


def hand_over(error: TarnError, environment: Mapping[str, str] = os.environ) -> bool:
    """Leaves the sentence to the launcher, where there is one that reads it. Returns whether that tells it alone."""
    if FILE not in environment:
        return False
    sentence = {
        "message": f"{type(error).__name__}: {error}",
        "extraInfo": {"py_callstack": str(error), "timestamp": str(int(time.time()))},
    }
    try:
        with open(environment[FILE], "w", encoding="utf-8") as file:  # noqa: PTH123  torchrun's own name for it
            json.dump({"message": sentence}, file)
    except OSError:
        return False
    return TOLD_BY_LAUNCHER in environment
