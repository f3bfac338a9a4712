"""model.pt2: the graph of torch.export, which runs without Tarn's code, with the card among its extra files."""

import json
from pathlib import Path

import torch

from tarn.training.export.artifact import Artifact

CARD = "card.json"


def write(artifact: Artifact, program: torch.export.ExportedProgram, path: Path) -> None:
    """With a torch that formats.py allows: older ones write another kind of archive, of which only they could read the
    weights."""
    with path.open("wb") as file:
        torch.export.save(program, file, extra_files={CARD: json.dumps(artifact.metadata(), ensure_ascii=False)})
