"""Several processes on this host, or on several, as torchrun starts them, with an end in one sentence.

    python -m tarn.training launch --standalone --nproc-per-node 8 fit --config ...

takes torchrun's own words and is torchrun (torch.distributed.run); but where that ends in a traceback and a report of
failures, this tells the sentence of the rank that failed, or which rank was ended by which signal.
"""

import logging
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from tarn.training.world.failure import TOLD_BY_LAUNCHER, LostRankError

if TYPE_CHECKING:
    from torch.distributed.elastic.multiprocessing.errors import ProcessFailure

GRACE = 120  # s that ranks have to save and leave in, once they were asked to
KILLED_BY_LAUNCHER = 20  # s after the first failure: torchrun ends by SIGKILL whoever did not leave within 30


def launch(module: str, words: Sequence[str]) -> int:
    """words: torchrun's options, then a command of the module and its own. Returns the exit code: that of the rank that
    failed, 1 where a rank was lost, 128 + the signal that this process got."""
    os.environ.setdefault("TORCH_ELASTIC_SHUTDOWN_TIMEOUT", str(GRACE))
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.run import parse_args, run

    args = parse_args([*words])  # type: ignore[no-untyped-call]
    command = [args.training_script, *args.training_script_args]
    args.module, args.training_script, args.training_script_args = True, module, command
    if args.max_restarts == 0:  # else ranks speak for themselves, for who starts them again tells nothing
        os.environ[TOLD_BY_LAUNCHER] = "1"
        logging.disable(logging.ERROR)
    try:
        run(args)  # type: ignore[no-untyped-call]
    except ChildFailedError as error:
        sentences, code = verdict(error.failures)
        for sentence in sentences:
            print(f"error: {sentence}", file=sys.stderr)
        return code
    except SignalException as error:
        return 128 + error.sigval
    return 0


def verdict(failures: Mapping[int, "ProcessFailure"]) -> tuple[list[str], int]:
    """What ended the ranks, each cause once, earliest first, and the exit code. failures: by rank, as torchrun tells.

    No sentence where all left because they were asked to.
    """
    found = sorted(failures.items(), key=lambda item: (item[1].timestamp, item[0]))
    causes = [(rank, failure) for rank, failure in found if not follows(failure)]
    asked = [failure.exitcode for _, failure in found if failure.exitcode > 128]
    if not causes and asked:
        return [], asked[0]
    causes = causes or found
    told: dict[str, list[int]] = {}
    for rank, failure in causes:
        if failure.timestamp < causes[0][1].timestamp + KILLED_BY_LAUNCHER:
            told.setdefault(cause(failure), []).append(rank)
    return [f"{named(ranks)}: {text}" for text, ranks in told.items()], max(1, causes[0][1].exitcode)


def follows(failure: "ProcessFailure") -> bool:
    """Whether a rank ended because others had: it was asked to leave, or has lost them."""
    asked = failure.exitcode == -signal.SIGTERM or failure.exitcode > 128
    return asked or written(failure).startswith(LostRankError.__name__)


def written(failure: "ProcessFailure") -> str:
    """What the rank wrote down, kind and sentence; empty where it wrote nothing."""
    message: object = failure.message
    return str(message.get("message", "")) if isinstance(message, dict) else ""


def cause(failure: "ProcessFailure") -> str:
    if failure.exitcode < 0:
        by = failure.signal_name()
        why = " (by hand, or for want of memory)" if failure.exitcode == -signal.SIGKILL else ""
        return f"ended by {by}{why}: start the same command again, a run goes on from its last checkpoint."
    sentence = written(failure).partition(": ")[2]
    return sentence or f"ended with exit code {failure.exitcode}; what it said stands above."


def named(ranks: Sequence[int]) -> str:
    return f"rank{'s' if len(ranks) > 1 else ''} {', '.join(map(str, ranks))}"
