"""model.pt and model.pkl: written aside, loaded back in a clean process, compared, and only then published."""

import os
import pickle
import subprocess
import sys
from pathlib import Path

import torch

from tarn.sharding.errors import TarnError
from tarn.training.export.artifact import Artifact
from tarn.training.export.comparison import logits


def publish(artifact: Artifact, out: Path) -> tuple[Path, Path]:
    """Returns the paths of model.pt and model.pkl in the folder `out`.

    Raises TarnError where a file does not give the same logits again; an earlier export stays as it was then.
    """
    model = artifact.build()
    model.tarn = artifact.metadata()  # type: ignore[assignment]
    out.mkdir(parents=True, exist_ok=True)
    targets = (out / "model.pt", out / "model.pkl")
    weights, pickled, expected = (out / f".{name}.tmp-{os.getpid()}" for name in ("model.pt", "model.pkl", "logits"))
    try:
        with weights.open("wb") as file:
            torch.save(artifact.to_payload(), file)
            os.fsync(file.fileno())
        with pickled.open("wb") as file:
            pickle.dump(model, file, protocol=4)
            os.fsync(file.fileno())
        torch.save(logits(model, artifact.preprocessing.crop), expected)
        compare_in_clean_process(weights, pickled, expected)
        for aside, target in zip((weights, pickled), targets, strict=True):
            aside.replace(target)
    except OSError as error:
        raise TarnError(f"{out} cannot receive the export ({error}): make room or check permissions.") from error
    finally:
        for path in (weights, pickled, expected):
            path.unlink(missing_ok=True)
    return targets


def compare_in_clean_process(weights: Path, pickled: Path, expected: Path) -> None:
    """Raises TarnError with what the other process said where it disagrees."""
    environment = {name: value for name, value in os.environ.items() if name not in ("RANK", "WORLD_SIZE")}
    command = [sys.executable, "-m", "tarn.training.export.comparison", str(weights), str(pickled), str(expected)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode != 0:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise TarnError(f"the export was not published, for it does not load back as it was ({reason}).")
