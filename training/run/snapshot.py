"""From a checkpoint to an exported model."""

import argparse
import platform
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tarn.sharding.errors import TarnError, UsageError
from tarn.sharding.format.manifest import ClassInfo
from tarn.training.coercion import refuse_url
from tarn.training.export.artifact import Artifact, is_model
from tarn.training.export.formats import DEFAULT, Format, chosen_formats
from tarn.training.export.publish import publish
from tarn.training.export.trial import Trial, noise, trial_of
from tarn.training.export.verdict import Verdict
from tarn.training.pixels.preprocessing import Preprocessing
from tarn.training.run import checkpoint


def export_checkpoint(
    path: Path,
    out: Path,
    look: Callable[[], object] = lambda: None,
    averaged: bool = False,
    formats: Sequence[Format] = DEFAULT,
    trial: Callable[[Artifact], Trial] = noise,
    say: Callable[[Verdict], object] = lambda verdict: None,
) -> tuple[Path, ...]:
    """Files in the folder out, loaded back and compared. path: a checkpoint, or a run's folder.

    look: called now and then; what it raises ends the export, with nothing left of it. averaged: the moving average of
    the weights in their place. trial: the pictures that they are compared on. say: receives what came of each.

    Raises UsageError where there is none, TarnError for a damaged one.
    """
    refuse_url(out, "--out")
    artifact = exported_now(path, averaged)
    return publish(artifact, out, look, formats, trial(artifact), say)


def export_formats(args: argparse.Namespace) -> Iterator[Verdict | Path]:
    """What came of each file, then where they are. args: of the command `export`, see training/__main__.py."""
    refuse_url(args.out, "--out")
    formats = chosen_formats(args.formats.split(","))
    calibrated = [format.name for format in formats if format.is_calibrated]
    if calibrated and args.shards is None:
        raise UsageError(f"--formats={calibrated[0]} is calibrated and scored on pictures: give --shards.")
    if args.pictures < 1:
        raise UsageError(f"--pictures={args.pictures} must be at least 1.")
    if args.out.exists() and not args.out.is_dir():
        raise UsageError(f"--out={args.out} is a file: give the folder that is to receive {formats[0].file}.")
    artifact = exported_before(args.checkpoint)
    if artifact is not None and args.averaged:
        raise UsageError(
            f"--averaged is of checkpoints, and {args.checkpoint} is a model, which holds no weights but its own: give "
            "RUN or one of its step-*.pt."
        )
    artifact = artifact or exported_now(args.checkpoint, args.averaged)
    trial = trial_of(artifact, args.shards, args.split, args.pictures) if args.shards else None
    said: list[Verdict] = []
    paths = publish(artifact, args.out, formats=formats, trial=trial, say=said.append)
    yield from said
    yield from paths


def exported_before(path: Path) -> Artifact | None:
    """Of a model.pt; None for what is none."""
    return Artifact.read(path) if path.is_file() and is_model(path) else None


def exported_now(path: Path, averaged: bool) -> Artifact:
    path = find_checkpoint(path)
    return artifact_of(checkpoint.read(path), path, averaged)


def find_checkpoint(path: Path) -> Path:
    """The file itself; of a folder (a run, or its checkpoints) the newest sound checkpoint."""
    if path.is_file():
        return path
    for folder in (path, path / "checkpoints"):
        for marker in reversed(checkpoint.markers(folder) if folder.is_dir() else []):
            if checkpoint.damage(marker) is None:
                return Path(marker["path"])
    raise UsageError(
        f"{path} is no checkpoint and holds none: give RUN, RUN/checkpoints or one of its step-*.pt, or a model.pt."
    )


def weights_of(payload: dict[str, Any], where: Path, averaged: bool) -> dict[str, Tensor]:
    """The network's state dict in a checkpoint. Raises TarnError where an average is asked for that is not there."""
    trainer = payload["trainer"]
    if averaged and "average" not in trainer:
        raise TarnError(f"{where} holds no averaged weights: it was trained without optim.ema_decay, export the last.")
    return dict(trainer["average"]["model"] if averaged else trainer["model"])


def artifact_of(payload: dict[str, Any], where: Path, averaged: bool = False) -> Artifact:
    """Raises TarnError for a checkpoint that lacks what a model needs."""
    try:
        classes = tuple(ClassInfo(wnid, name) for wnid, name in payload["classes"])
        return Artifact(
            arch=payload["arch"],
            small_stem=payload["small_stem"],
            blurpool=payload.get("blurpool", False),
            classes=classes,
            preprocessing=Preprocessing.from_dict(payload["preprocessing"], str(where)),
            provenance=provenance(payload, where, averaged),
            state_dict=weights_of(payload, where, averaged),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise TarnError(f"{where} lacks what a model needs ({error!r}): give a checkpoint of this Tarn.") from error


def provenance(payload: dict[str, Any], where: Path, averaged: bool) -> dict[str, str | int | float | None]:
    """Where the weights come from, and their own validation: plain values, nothing of the machine."""
    marker = next((told for told in checkpoint.markers(where.parent) if told["path"] == where), {})
    figures = marker.get("figures") or payload["metrics"]
    metrics = {name: value for name, value in figures.items() if name.startswith("val_")}
    average = {
        name.removeprefix("val_ema_"): metrics.pop(name) for name in list(metrics) if name.startswith("val_ema_")
    }
    if averaged:
        metrics = {f"val_{name}": value for name, value in average.items()}
    return {
        "checkpoint": where.name,
        "step": payload["step"],
        "weights": "averaged" if averaged else "as trained",
        "dataset": payload["fingerprint"],
        "config": payload["config"],
        "torch": str(torch.__version__),  # a plain text, not the class that torch makes of it
        "python": platform.python_version(),
        "exported": datetime.now(UTC).isoformat(timespec="seconds"),
        **metrics,
    }
