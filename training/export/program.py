"""model.pt2: the graph of torch.export, which runs without Tarn's code, with the card among its extra files."""

import json
from pathlib import Path

import torch

from tarn.sharding.errors import TarnError
from tarn.training.export.artifact import Artifact

CARD = "card.json"
OLDEST = 2, 8


def write(artifact: Artifact, program: torch.export.ExportedProgram, path: Path) -> None:
    """Raises TarnError where this torch writes another kind of archive, of which only itself could read the weights."""
    if tuple(map(int, torch.__version__.split(".")[:2])) < OLDEST:
        raise TarnError(f"--formats=pt2 needs torch 2.8 or newer, this is {torch.__version__}.")
    with path.open("wb") as file:
        torch.export.save(program, file, extra_files={CARD: json.dumps(artifact.metadata(), ensure_ascii=False)})
