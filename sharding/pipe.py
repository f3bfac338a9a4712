"""Programs whose reader has had enough, as `... | head` has: they end as quietly as unix's own."""

import functools
import os
import select
import signal
import sys
from collections.abc import Callable
from typing import ParamSpec, TextIO

P = ParamSpec("P")


def ends_with_its_reader(main: Callable[P, int]) -> Callable[P, int]:
    """A main that returns 128 + SIGPIPE, and says nothing, where what it writes to is closed."""

    @functools.wraps(main)
    def ending(*args: P.args, **kwargs: P.kwargs) -> int:
        try:
            try:
                return main(*args, **kwargs)
            finally:
                if sys.stdout is not None:  # it is None where the program was started without one
                    sys.stdout.flush()  # now, and not behind the end, where nobody can catch what it raises
        except BrokenPipeError:
            closed = [stream for stream in (sys.stdout, sys.stderr) if stream is not None and is_closed(stream)]
            if not closed:
                raise  # it was another pipe
            for stream in closed:
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
            return 128 + signal.SIGPIPE

    return ending


def is_closed(stream: TextIO) -> bool:
    """Whether a pipe or socket has no reader any more."""
    try:
        waiting = select.poll()
        waiting.register(stream.fileno(), 0)
        return any(event & (select.POLLERR | select.POLLHUP) for _, event in waiting.poll(0))
    except (OSError, ValueError):  # a stream of no file, or a closed one
        return False
