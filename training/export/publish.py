"""Exported files: written aside, loaded back in a clean process, compared, and only then published."""

import contextlib
import os
import re
import shutil
import socket
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tarn.sharding.errors import TarnError
from tarn.training.export.artifact import Artifact
from tarn.training.export.clean import run_clean
from tarn.training.export.comparison import EXACT, computed, logits
from tarn.training.export.formats import DEFAULT, Format
from tarn.training.export.trial import Trial, noise
from tarn.training.export.verdict import Verdict, judge, unlike
from tarn.training.export.writing import Writing

LEFT = re.compile(r"\.(?:model(?:-\w+)?\.\w+|export|logits)\.tmp-(?:(?P<host>.+)-)?(?P<process>\d+)")
HOUR = 3600


def publish(
    artifact: Artifact,
    out: Path,
    look: Callable[[], object] = lambda: None,
    formats: Sequence[Format] = DEFAULT,
    trial: Trial | None = None,
    say: Callable[[Verdict], object] = lambda verdict: None,
) -> tuple[Path, ...]:
    """Returns the paths of the files in the folder `out`, in the order of the formats.

    look: called between the parts of the work and while waiting; what it raises ends it. trial: what they are compared
    on, noise by default. say: receives what came of each. Raises TarnError where a file does not give the same logits
    again, or not the same classes; an earlier export stays as it was then.
    """
    mark = f"tmp-{socket.gethostname()}-{os.getpid()}"
    aside = out / f".export.{mark}"
    files = {format: out / f".{format.file}.{mark}" for format in formats}
    try:
        out.mkdir(parents=True, exist_ok=True)
        sweep(out)
        aside.mkdir()
        trial = trial or noise(artifact)
        writing = Writing(artifact, aside, trial.calibration, look)
        for format, path in files.items():
            look()
            writing.write(format, path)
        look()
        wanted = wanted_logits(artifact, trial, formats)
        for format, found in answers(files, trial, aside, look).items():
            say(judge(format, wanted, found, trial.labels))
        for format, path in files.items():
            path.replace(out / format.file)
    except (OSError, RuntimeError) as error:  # torch reports a full disk as RuntimeError
        raise TarnError(f"{out} cannot receive the export ({error}): make room or check permissions.") from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)
        for path in files.values():
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
    return tuple(out / format.file for format in formats)


def wanted_logits(artifact: Artifact, trial: Trial, formats: Sequence[Format]) -> NDArray[np.float32]:
    """The trained model's own."""
    is_scored = any(format.tolerance is None for format in formats)
    pictures = trial.pixels if is_scored else trial.pixels[:EXACT]
    return logits(computed(artifact.build(), artifact.preprocessing, Path("the model")), pictures)


def answers(
    files: dict[Format, Path], trial: Trial, aside: Path, look: Callable[[], object]
) -> dict[Format, NDArray[np.float32]]:
    """What each file gives. Files that need no torch are read where there is none of it.

    Raises TarnError with what the other process said where one does not load.
    """
    pixels = aside / "pixels.npy"
    np.save(pixels, trial.pixels)
    places = {format: aside / f"logits-{format.name}.npy" for format in files}
    for needs_torch in (True, False):
        some = {format: path for format, path in files.items() if ("torch" in format.reads) == needs_torch}
        words = [word for format, path in some.items() for word in (format.name, str(path), str(places[format]))]
        if words:
            code, said = run_clean("tarn.training.export.comparison", [str(pixels), *words], look)
            for format, path in some.items():
                said = said.replace(path.name, format.file)
            if code != 0:
                raise unlike(said)
    return {format: np.load(place) for format, place in places.items()}


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
                shutil.rmtree(path) if path.is_dir() else path.unlink()


def is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True
