"""A module run in a process of its own, as a user's would be: no rank, no signals of this terminal."""

import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence


def run_clean(module: str, words: Sequence[str], look: Callable[[], object], told: str = "") -> tuple[int, str]:
    """Its exit code and the last line that it said. told: comes to its standard input. look: called while it works;
    what it raises ends both."""
    environment = {name: value for name, value in os.environ.items() if name not in ("RANK", "WORLD_SIZE")}
    with tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as heard:
        heard.write(told.encode())
        heard.seek(0)
        process = subprocess.Popen(
            [sys.executable, "-m", module, *words],
            stdin=heard, stdout=said, stderr=said, env=environment, start_new_session=True,
        )  # fmt: skip
        try:
            while process.poll() is None:
                look()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(0.1)
        finally:
            process.kill()
            process.wait()
        said.seek(0)
        lines = said.read().decode(errors="replace").strip().splitlines() or ["no reason given"]
    return process.returncode, lines[-1]
