"""Checkpoints: written whole or not at all, checked when read, the last few and the best kept.

step-00000120.pt holds tensors and plain values; step-00000120.json, its commit marker, is written after it and tells
its length and SHA-256, later its validation too. A checkpoint whose marker was lost is examined (adoption.py); a
damaged or diverged one is passed over for the one before. Nothing but a newer save ever deletes one.
"""

import contextlib
import hashlib
import json
import os
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch

from tarn.sharding.errors import TarnError
from tarn.sharding.storage.local import write_whole
from tarn.training.run.soundness import divergence

FORMAT = 1


def path_of(folder: Path, step: int) -> Path:
    return folder / f"step-{step:08d}.pt"


def save(folder: Path, step: int, payload: Mapping[str, Any], told: Mapping[str, Any]) -> Path:
    """Writes the payload, then its marker with `told` (plain values) in it. Returns the .pt path.

    Raises TarnError where the disk refuses; the checkpoints before are untouched then.
    """
    path = path_of(folder, step)
    temporary = path.with_suffix(".pt.tmp")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            torch.save({"format": FORMAT, "step": step, **payload}, file)
            os.fsync(file.fileno())
        marker = {"step": step, "bytes": temporary.stat().st_size, "sha256": sha256(temporary), **told}
        path.with_suffix(".json").unlink(missing_ok=True)
        temporary.replace(path)
        write_marker(path, marker)
    except (OSError, RuntimeError) as error:  # torch reports a full disk as RuntimeError
        raise TarnError(
            f"the checkpoint {path} cannot be written ({error}): free some space, check permissions, and run again."
        ) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
    return path


def write_marker(path: Path, told: Mapping[str, Any]) -> None:
    """Raises OSError."""
    plain = {name: value for name, value in told.items() if name != "path"}
    write_whole(path.with_suffix(".json"), json.dumps(plain, allow_nan=False) + "\n")


def add_to_marker(path: Path, told: Mapping[str, Any]) -> None:
    """Adds plain values, such as a validation's, beside the digest. Raises TarnError where the disk refuses."""
    try:
        write_marker(path, {**json.loads(path.with_suffix(".json").read_text("utf-8")), **told})
    except (OSError, ValueError) as error:
        raise TarnError(
            f"the marker of {path} cannot be written ({error}): free some space and run again; the checkpoint stays."
        ) from error


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def markers(folder: Path) -> list[dict[str, Any]]:
    """What is told of every committed checkpoint, oldest first."""
    found = []
    for path in folder.glob("step-*.json"):
        try:
            told = json.loads(path.read_text("utf-8"))
            found.append({**told, "path": path.with_suffix(".pt"), "step": int(told["step"])})
        except (ValueError, KeyError, TypeError, OSError):
            continue  # a marker that cannot be read commits nothing
    return sorted(found, key=lambda marker: marker["step"])


def what_stays(folder: Path, step: int) -> str:
    """What a run that has diverged by that step can go on from, in words."""
    before = [marker["step"] for marker in markers(folder) if marker["step"] <= step]
    return f"the checkpoint of step {before[-1]} stays" if before else "there is no checkpoint from before"


def newest(folder: Path) -> tuple[dict[str, Any] | None, list[str]]:
    """The newest sound checkpoint with its marker under "marker", None where there is none, and one sentence for each
    that is damaged or diverged.

    Raises TarnError where checkpoints are there and none of them is sound: starting anew is a human's choice.
    """
    complaints: list[str] = []
    found = markers(folder)
    for marker in reversed(found):
        problem = damage(marker)
        if problem is None:
            payload = read(marker["path"])
            problem = divergence(payload.get("trainer", {}))
            if problem is None:
                return {**payload, "marker": marker}, complaints
            problem = f"has diverged ({problem})"
        complaints.append(f"The checkpoint {marker['path']} {problem}: passed over.")
    marked = {marker["path"] for marker in found}
    complaints += [f"{path} has no marker." for path in sorted(folder.glob("step-*.pt")) if path not in marked]
    if complaints:
        raise TarnError(
            f"no checkpoint in {folder} is sound ({' '.join(complaints)}) Give another run folder by --out, or move "
            "this one away to start anew."
        )
    return None, complaints


def damage(marker: Mapping[str, Any]) -> str | None:
    """What is wrong with the file of a marker, None if nothing."""
    path = marker["path"]
    try:
        if not path.is_file():
            return "is gone"
        if path.stat().st_size != marker.get("bytes"):
            return f"has {path.stat().st_size} bytes instead of {marker.get('bytes')}"
        return None if sha256(path) == marker.get("sha256") else "does not have the SHA-256 that was written down"
    except OSError as error:
        return f"cannot be read ({error})"


def read(path: Path) -> dict[str, Any]:
    """One checkpoint, on the CPU. Raises TarnError for a file that is none; runs no code from the file."""
    try:
        with warnings.catch_warnings(action="ignore"):  # torch warns of pickles before it refuses them
            payload = torch.load(path, map_location="cpu", weights_only=True)
        found = payload["format"]
    except Exception as error:  # torch raises many kinds for a foreign file
        raise TarnError(f"{path} is not a Tarn checkpoint ({why(error)}): give one from RUN/checkpoints.") from error
    if found != FORMAT:
        raise TarnError(f"{path} has checkpoint format {found!r}, this Tarn reads {FORMAT}.")
    return dict(payload)


def why(error: Exception) -> str:
    """Without the advice of torch, which is to open the file without its safeguards."""
    told = str(error).splitlines()[0] if str(error) else type(error).__name__
    if isinstance(error, KeyError) or ("weights" in told.lower() and "only" in told.lower()):
        return "it is a file of another kind"
    return told


def best_of(found: Iterable[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The marker of the best validation top-1, of equals the latest, among those that were scored like the last one: a
    score at another size of pictures, or of other pictures, does not compare. None where none has a score."""
    scored = [marker for marker in found if marker.get("top1") is not None]
    view = max(scored, key=lambda marker: marker["step"]).get("view") if scored else None
    alike = [marker for marker in scored if marker.get("view") in (None, view)]
    return max(alike, key=lambda marker: (marker["top1"], marker["step"]), default=None)


def retain(folder: Path, keep_last: int, step: int) -> None:
    """Removes all up to `step`, which was just saved, but the last few and the best; those of later steps, which were
    passed over, and those without marker stay. Markers go first; what cannot be removed stays."""
    found = [marker for marker in markers(folder) if marker["step"] <= step]
    best = best_of(found)
    with contextlib.suppress(OSError):
        for marker in found[:-keep_last]:
            if best is None or marker["step"] != best["step"]:
                for path in (marker["path"].with_suffix(".json"), marker["path"]):
                    path.unlink(missing_ok=True)
        for path in folder.glob("step-*.tmp"):
            path.unlink(missing_ok=True)  # left by a process that was killed while it saved
