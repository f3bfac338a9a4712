"""Checkpoints: written whole or not at all, checked when read, the last few and the best kept.

step-00000120.pt holds tensors and plain values; step-00000120.json, its commit marker, is written after it and tells
its length and SHA-256. A checkpoint without marker does not exist; a damaged one is passed over for the one before.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from tarn.sharding.errors import TarnError, UsageError
from tarn.sharding.storage.local import write_whole

FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointConfig:
    """A checkpoint is written at the end of every epoch, and every `every_steps` steps besides where that is set.

    keep_last must be at least 2: the newest may turn out damaged. The best one by validation top-1 is kept on top.
    """

    every_steps: int | None = None
    keep_last: int = 3

    def __post_init__(self) -> None:
        if self.keep_last < 2:
            raise UsageError(f"checkpoint.keep_last={self.keep_last} must be at least 2: the newest may be damaged.")
        if self.every_steps is not None and self.every_steps < 1:
            raise UsageError(f"checkpoint.every_steps={self.every_steps} must be at least 1, or null.")


def save(folder: Path, step: int, payload: Mapping[str, Any], told: Mapping[str, Any]) -> Path:
    """Writes the payload, then its marker with `told` (plain values, such as top1) in it. Returns the .pt path.

    Raises TarnError where the disk refuses; the checkpoints before are untouched then.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"step-{step:08d}.pt"
    temporary = path.with_suffix(".pt.tmp")
    try:
        with temporary.open("wb") as file:
            torch.save({"format": FORMAT, "step": step, **payload}, file)
            os.fsync(file.fileno())
        marker = {"step": step, "bytes": temporary.stat().st_size, "sha256": sha256(temporary), **told}
        path.with_suffix(".json").unlink(missing_ok=True)
        temporary.replace(path)
        write_whole(path.with_suffix(".json"), json.dumps(marker) + "\n")
    except (OSError, RuntimeError) as error:  # torch reports a full disk as RuntimeError
        temporary.unlink(missing_ok=True)
        raise TarnError(f"the checkpoint {path} cannot be written ({error}): free some space and run again.") from error
    return path


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


def newest(folder: Path) -> tuple[dict[str, Any] | None, list[str]]:
    """The newest sound checkpoint, None where none was ever committed, and one sentence for each damaged one.

    Raises TarnError where checkpoints were committed and all of them are damaged: starting anew is a human's choice.
    """
    complaints: list[str] = []
    for marker in reversed(markers(folder)):
        problem = damage(marker)
        if problem is None:
            return read(marker["path"]), complaints
        complaints.append(f"the checkpoint {marker['path']} {problem}: passed over.")
    if complaints:
        raise TarnError(f"no checkpoint in {folder} is sound ({' '.join(complaints)}) Remove the folder to start anew.")
    return None, complaints


def damage(marker: Mapping[str, Any]) -> str | None:
    """What is wrong with the file of a marker, None if nothing."""
    path = marker["path"]
    if not path.is_file():
        return "is gone"
    if path.stat().st_size != marker.get("bytes"):
        return f"has {path.stat().st_size} bytes instead of {marker.get('bytes')}"
    return None if sha256(path) == marker.get("sha256") else "does not have the SHA-256 that was written down"


def read(path: Path) -> dict[str, Any]:
    """One checkpoint, on the CPU. Raises TarnError for a file that is none; runs no code from the file."""
    try:
        payload = torch.load(path, map_location="cpu", weights_only=True)
        found = payload["format"]
    except Exception as error:  # torch raises many kinds for a foreign file
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise TarnError(f"{path} is not a Tarn checkpoint ({reason}): give one from RUN/checkpoints.") from error
    if found != FORMAT:
        raise TarnError(f"{path} has checkpoint format {found!r}, this Tarn reads {FORMAT}.")
    return dict(payload)


def retain(folder: Path, keep_last: int) -> None:
    """Removes all but the last few and the best; what cannot be removed stays. Markers go first."""
    found = markers(folder)
    scored = [marker for marker in found if marker.get("top1") is not None]
    best = max(scored, key=lambda marker: (marker["top1"], marker["step"]), default=None)
    for marker in found[:-keep_last]:
        if best is None or marker["step"] != best["step"]:
            for path in (marker["path"].with_suffix(".json"), marker["path"]):
                try:
                    path.unlink(missing_ok=True)
                except OSError:
                    break
    committed = {marker["path"] for marker in found}
    for path in (*folder.glob("step-*.pt"), *folder.glob("step-*.tmp")):
        if path not in committed:
            path.unlink(missing_ok=True)  # left by a process that was killed while it saved
