"""Weights that PyTorch wrote, loaded without trust: model.pt as plain data, model.pkl by a list of allowed names."""

import io
import pickle
from pathlib import Path
from typing import Any

import torch

from tarn.sharding.errors import TarnError
from tarn.training.export.artifact import Artifact
from tarn.training.model.resnet import ResNet

# What pickle may call to rebuild our module: nothing here runs code that the file brings along.
ALLOWED = {
    "tarn.training.model.resnet": {"ResNet", "BasicBlock", "Bottleneck"},
    "tarn.training.model.blurpool": {"BlurConv2d"},
    "tarn.training.export.pickling": {"rebuilt"},
    "torch.nn.modules.conv": {"Conv2d"},
    "torch.nn.modules.batchnorm": {"BatchNorm2d"},
    "torch.nn.modules.activation": {"ReLU"},
    "torch.nn.modules.pooling": {"MaxPool2d", "AdaptiveAvgPool2d"},
    "torch.nn.modules.linear": {"Linear", "Identity"},
    "torch.nn.modules.container": {"Sequential"},
    "torch._utils": {"_rebuild_tensor_v2", "_rebuild_parameter"},
    "torch.storage": {"_load_from_bytes"},
    "collections": {"OrderedDict"},
}
RENAMED = {"training.model": "tarn.training.model.resnet"}  # in files from before 0.2


def read_weights(path: Path) -> Artifact:
    """From model.pt or model.pkl, told apart by content. Both give the same logits.

    Raises TarnError for a file that is neither, is cut, or wants more than it may.
    """
    try:
        with path.open("rb") as file:
            start = file.read(4)
    except OSError as error:
        raise TarnError(f"{path} cannot be read ({error.strerror}): give a model.pt or model.pkl.") from error
    return Artifact.read(path) if start[:2] == b"PK" else read_pickle(path)


def read_pickle(path: Path) -> Artifact:
    try:
        with path.open("rb") as file:
            found = AllowingUnpickler(file).load()
    except TarnError as error:
        raise TarnError(f"{path} is refused: {error}") from error
    except Exception as error:  # a foreign or cut file makes pickle raise nearly anything
        reason = " ".join(str(error).split())[:160] or type(error).__name__
        raise TarnError(f"{path} is neither a model.pt nor a whole model.pkl ({reason}): export it again.") from error
    if isinstance(found, ResNet):
        metadata = getattr(found, "tarn", None)
        found = {**metadata, "state_dict": found.state_dict()} if isinstance(metadata, dict) else None
    elif not isinstance(found, dict):
        raise TarnError(f"{path} holds a {type(found).__name__}, expected a network exported by Tarn.")
    return Artifact.from_payload(found, str(path))  # built anew by who asks: the file's own module may carry hooks


class AllowingUnpickler(pickle.Unpickler):
    """Builds only what ALLOWED names; tensors inside are read as plain data."""

    def find_class(self, module: str, name: str) -> Any:
        module = RENAMED.get(module, module)
        if name not in ALLOWED.get(module, ()):
            raise TarnError(f"it wants {module}.{name}, which no model exported by Tarn needs; do not trust this file.")
        return STANDINS.get(name) or super().find_class(module, name)


def load_storage(data: bytes) -> Any:
    """Stands in for torch.storage._load_from_bytes, which would unpickle without a check."""
    return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)


def load_payload(metadata: dict[str, Any], weights: dict[str, Any]) -> dict[str, Any]:
    """Stands in for rebuilt() of tarn.training.export.pickling, which would build before anything is checked."""
    return {**metadata, "state_dict": weights}


STANDINS = {"_load_from_bytes": load_storage, "rebuilt": load_payload}
