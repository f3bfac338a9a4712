"""model.pt and model.pkl: written aside, loaded back in a clean process, compared, and only then published."""

import contextlib
import os
import pickle
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

from tarn.sharding.errors import TarnError
from tarn.training.export.artifact import Artifact
from tarn.training.export.comparison import logits
from tarn.training.export.pickling import picklable

LEFT = re.compile(r"\.(?:model\.pt|model\.pkl|logits)\.tmp-(?:(?P<host>.+)-)?(?P<process>\d+)")
HOUR = 3600


def publish(artifact: Artifact, out: Path, look: Callable[[], object] = lambda: None) -> tuple[Path, Path]:
    """Returns the paths of model.pt and model.pkl in the folder `out`.

    look: called between the parts of the work and while waiting; what it raises ends it. Raises TarnError where a file
    does not give the same logits again; an earlier export stays as it was then.
    """
    model = artifact.build()
    model.tarn = artifact.metadata()  # type: ignore[assignment]
    targets = (out / "model.pt", out / "model.pkl")
    mark = f"tmp-{socket.gethostname()}-{os.getpid()}"
    weights, pickled, expected = (out / f".{name}.{mark}" for name in ("model.pt", "model.pkl", "logits"))
    try:
        out.mkdir(parents=True, exist_ok=True)
        sweep(out)
        look()
        with weights.open("wb") as file:
            torch.save(artifact.to_payload(), file)
            os.fsync(file.fileno())
        look()
        with pickled.open("wb") as file:
            pickle.dump(picklable(model, artifact), file, protocol=4)
            os.fsync(file.fileno())
        look()
        torch.save(logits(model, artifact.preprocessing.crop), expected)
        compare_in_clean_process(weights, pickled, expected, look)
        for aside, target in zip((weights, pickled), targets, strict=True):
            aside.replace(target)
    except (OSError, RuntimeError) as error:  # torch reports a full disk as RuntimeError
        raise TarnError(f"{out} cannot receive the export ({error}): make room or check permissions.") from error
    finally:
        for path in (weights, pickled, expected):
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
    return targets


def sweep(out: Path) -> None:
    """Removes what exports that were killed left: this host's at once, those that name no host after an hour."""
    for path in out.glob(".*.tmp-*"):
        found = LEFT.fullmatch(path.name)
        if not found or is_alive(int(found["process"])):
            continue
        with contextlib.suppress(OSError):
            if found["host"] == socket.gethostname() or (
                found["host"] is None and time.time() - path.stat().st_mtime > HOUR
            ):
                path.unlink()


def is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True


def compare_in_clean_process(weights: Path, pickled: Path, expected: Path, look: Callable[[], object]) -> None:
    """Raises TarnError with what the other process said where it disagrees. Signals of a terminal do not reach it."""
    environment = {name: value for name, value in os.environ.items() if name not in ("RANK", "WORLD_SIZE")}
    command = [sys.executable, "-m", "tarn.training.export.comparison", str(weights), str(pickled), str(expected)]
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=said, stderr=said, env=environment, start_new_session=True
        )
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
    if process.returncode != 0:
        raise TarnError(f"the export was not published, for it does not load back as it was ({lines[-1]}).")
