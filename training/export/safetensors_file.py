"""model.safetensors: the weights, and the card in the header's metadata.

Format: https://huggingface.co/docs/safetensors (a length, a header of JSON, the bytes).
"""

import json
from pathlib import Path

import safetensors
import safetensors.torch
from torch import Tensor

from tarn.sharding.errors import TarnError
from tarn.training.export.artifact import Artifact

KEY = "tarn"


def write(artifact: Artifact, path: Path) -> None:
    weights = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in artifact.state_dict.items()}
    told = {"format": "pt", KEY: json.dumps(artifact.metadata(), ensure_ascii=False)}
    path.write_bytes(safetensors.torch.save(weights, told))


def read(path: Path) -> Artifact:
    """On the CPU. Raises TarnError for a file that is cut, lies, or holds no card of ours."""
    weights, text = tensors_in(path)
    try:
        told = json.loads(text or "{}")
    except (ValueError, RecursionError) as error:
        raise TarnError(f"{path} tells of itself in no JSON ({error}): export it again.") from error
    return Artifact.from_payload({**told, "state_dict": weights}, str(path))


def tensors_in(path: Path) -> tuple[dict[str, Tensor], str | None]:
    """By name, on the CPU, and the card's text where there is one. The library compares the header with the file."""
    try:
        with safetensors.safe_open(path, "pt") as file:
            told = file.metadata() or {}
            return {name: file.get_tensor(name) for name in file.keys()}, told.get(KEY)  # noqa: SIM118  no dict
    except Exception as error:  # the library has kinds of its own
        reason = " ".join(str(error).split())[:160]
        raise TarnError(f"{path} is no whole .safetensors file ({reason}): export or copy it again.") from error
