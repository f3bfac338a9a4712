"""The loader's processes, and their end."""

import signal
import subprocess
import sys
import time

import pytest

from support.processes import end_within
from support.sequential_tars import loader, seen
from tarn.sharding.errors import TarnError


def test_a_killed_worker_is_told_at_once(tars: str) -> None:
    one = loader(tars, num_workers=2)
    batches = iter(one)
    next(batches)
    one.team.children[0].process.kill()  # type: ignore[union-attr]
    started = time.monotonic()
    with pytest.raises(TarnError, match=r"reading process 0 was ended by SIGKILL \(out of memory\?\)"):
        list(batches)
    assert time.monotonic() - started < 30
    one.close()


def test_two_iterations_at_a_time_are_refused(tars: str) -> None:
    for workers in (0, 1):
        one = loader(tars, num_workers=workers)
        first = iter(one)
        next(first)
        next(iter(one))
        with pytest.raises(TarnError, match="iterated twice"):
            list(first)
        one.close()


def test_batches_that_are_kept_are_not_written_over(tars: str) -> None:
    one = loader(tars, num_workers=2)
    kept = list(one)
    copies = seen(kept)
    list(one)
    assert seen(kept) == copies
    one.close()


USER = """
import sys
from tarn.training.streaming import SequentialLoader
loader = SequentialLoader(sys.argv[1], samples=120, global_batch=16, image_size=16, num_workers=2)
while True:
    for batch in loader:
        print(*[child.process.pid for child in loader.team.children], flush=True)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_nothing_is_left_of_a_script_that_is_ended(tars: str, number: signal.Signals) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", USER, tars], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert process.stdout is not None
    workers = [int(word) for word in process.stdout.readline().split()]
    assert len(workers) == 2
    process.send_signal(number)
    process.wait(30)
    process.stdout.close()
    assert end_within(10, workers)
