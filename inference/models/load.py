"""From a model file to what scores pictures."""

import importlib
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tarn.inference.models.kinds import kind_of
from tarn.inference.models.scorer import Scorer
from tarn.sharding import storage
from tarn.sharding.errors import TarnError, UsageError
from tarn.training.export.card import Card

INSTALL = "pip install 'tarn-train[inference]', or .venv/bin/uv pip install --editable '.[inference]' in a checkout"
SESSIONS = {
    "onnx": ("tarn.training.export.onnx_session", "OnnxSession"),
    "openvino": ("tarn.training.export.openvino_session", "OpenvinoSession"),
}


def load(
    model: str | os.PathLike[str],
    device: str = "auto",
    crop: int | None = None,
    resize: int | None = None,
    flip: bool = False,
    precision: str = "float32",
) -> Scorer:
    """device: auto, cpu, cuda or mps. crop, resize: px of the pictures where they are not to be the model's own, see
    Preprocessing.at. flip: the mean of the logits of each picture and its mirror image. precision: of what PyTorch
    computes, float32, bf16 or auto (precision.py); files for ONNX Runtime and OpenVINO have their own, and no torch.

    Raises TarnError for a file that is no model, is cut, or wants more than it may, UsageError for what it cannot do.
    """
    path = storage.local_path(model)
    if path is None:
        raise UsageError(f"{model} is a URL: copy the model to a disk and give its path.")
    kind = kind_of(path)
    if kind in SESSIONS:
        return load_graph(path, kind, device, crop, resize, flip)
    return load_weights(path, device, crop, resize, flip, precision)


def load_weights(path: Path, device: str, crop: int | None, resize: int | None, flip: bool, precision: str) -> Scorer:
    from tarn.inference.models.precision import choose_dtype
    from tarn.inference.models.torch_scorer import TorchScorer
    from tarn.inference.models.weights import read_weights
    from tarn.training.model.mirror import seen_at
    from tarn.training.world.world import choose_device

    artifact = read_weights(path)
    network = artifact.build(str(path))
    card = replace(artifact, preprocessing=artifact.preprocessing.at(crop, resize))
    where = choose_device(device, 0)
    dtype = choose_dtype(precision, where)
    return TorchScorer(seen_at(network, card.num_classes, crop, flip), card, where, dtype)


def load_graph(path: Path, kind: str, device: str, crop: int | None, resize: int | None, flip: bool) -> Scorer:
    """A graph is made for pictures of one size, and for CPUs here."""
    if device not in ("auto", "cpu"):
        raise UsageError(f"device={device!r} does not go with {path}, which runs on CPUs here: give a model.pt.")
    module, name = SESSIONS[kind]
    try:
        session = importlib.import_module(module)
    except ImportError as error:
        raise TarnError(f"{path} needs {error.name}, which is not installed: {INSTALL}.") from error
    found: Scorer = getattr(session, name)(path)
    own = found.card.preprocessing
    if crop not in (None, own.crop):
        raise UsageError(
            f"--image-size={crop} does not go with {path}, whose pictures have {own.crop} px: leave it out."
        )
    seen = replace(found.card, preprocessing=own.at(crop, resize))
    return Flipped(found, seen) if flip else Seen(found, seen)


class Seen:
    """Another scorer, whose pictures are resized otherwise."""

    def __init__(self, scorer: Scorer, card: Card) -> None:
        self.scorer, self.card = scorer, card

    def logits(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        return self.scorer.logits(pixels)


class Flipped(Seen):
    """The mean of the logits of each picture and its mirror image, as training/model/mirror.py's."""

    def logits(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        mirrored = np.ascontiguousarray(pixels[:, :, ::-1])
        total: NDArray[np.float32] = self.scorer.logits(pixels) + self.scorer.logits(mirrored)
        total /= 2
        return total
