"""Checkpoints that lost their markers, such as in a copy of *.pt alone: examined, and marked anew where
they are sound."""

import re
import zipfile
from pathlib import Path

from tarn.sharding.errors import TarnError
from tarn.training.run import checkpoint


def adopt(folder: Path) -> list[str]:
    """Writes a marker for every sound checkpoint that has none; one sentence for each, and for each that is not sound.

    Sound is one whose records have the CRC-32 that torch wrote beside them, and which holds the step of its name.
    Raises TarnError where a marker cannot be written.
    """
    marked = {marker["path"] for marker in checkpoint.markers(folder)}
    said = []
    for path in sorted(folder.glob("step-*.pt")):
        if path in marked or not path.is_file():
            continue
        problem = flaw(path)
        if problem is not None:
            said.append(f"The checkpoint {path} lost its marker and {problem}: passed over, it stays where it is.")
            continue
        try:
            told = {"bytes": path.stat().st_size, "sha256": checkpoint.sha256(path), "top1": None}
            checkpoint.write_marker(path, {"step": step_of(path), **told})
        except OSError as error:
            raise TarnError(f"the marker of {path} cannot be written ({error}): check permissions and room.") from error
        said.append(f"The checkpoint {path} lost its marker; the file is sound, and has a new one.")
    return said


def flaw(path: Path) -> str | None:
    """What is wrong with an unmarked checkpoint, None if nothing."""
    try:
        with zipfile.ZipFile(path) as archive:
            torn = archive.testzip()
        if torn is not None:
            return f"is damaged (in {torn})"
        step = checkpoint.read(path)["step"]
    except (OSError, zipfile.BadZipFile) as error:
        return f"is damaged ({error})"
    except TarnError as error:
        return f"does not load ({error})"
    return None if step == step_of(path) else f"holds step {step}"


def step_of(path: Path) -> int | None:
    found = re.fullmatch(r"step-(\d+)\.pt", path.name)
    return int(found[1]) if found else None
