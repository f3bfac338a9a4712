"""An exported model: weights, and all that is needed to use them. model.pt holds it as plain tensors and values."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tarn.sharding.errors import TarnError
from tarn.training.export.card import FORMAT, Card
from tarn.training.model.network import Network, is_known
from tarn.training.model.resnet import DEPTHS
from tarn.training.plain.torch_file import read_torch_zip


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact(Card):
    """state_dict: float32 tensors on the CPU, names as torchvision's or timm's."""

    state_dict: Mapping[str, Tensor]

    @property
    def network(self) -> Network:
        return Network(
            arch=self.arch,
            num_classes=self.num_classes,
            side=self.preprocessing.crop,
            small_stem=self.small_stem,
            blurpool=self.blurpool,
        )

    def to_payload(self) -> dict[str, Any]:
        """What model.pt holds; loads with weights_only=True."""
        weights = {name: tensor.detach().cpu().contiguous() for name, tensor in self.state_dict.items()}
        return {**self.metadata(), "state_dict": weights}

    @classmethod
    def from_payload(cls, payload: Any, where: str) -> "Artifact":
        """Raises TarnError, naming where and the key, for anything that to_payload() does not make."""
        weights = payload.get("state_dict") if isinstance(payload, dict) else None
        found = cls.from_metadata(payload, where, state_dict=weights)
        if not isinstance(weights, Mapping):
            raise TarnError(f"{where} lacks state_dict: export the model again.")
        if not is_known(found.arch):
            raise TarnError(
                f"{where} has arch={found.arch!r}, known are {', '.join(DEPTHS)}, torchvision/<name> and "
                "timm/<name>: update Tarn."
            )
        return found

    @classmethod
    def read(cls, path: Path) -> "Artifact":
        """From model.pt, on the CPU; runs no code from the file. Raises TarnError for what is no such file."""
        if not path.is_file():
            raise TarnError(f"{path} is not there: train first, or give the path of a model.pt.")
        if not begins_as_zip(path):
            raise TarnError(
                f"{path} is no model.pt: give one; files of other formats are scored by `python -m tarn.inference "
                "compare`, or by `predict --out`."
            )
        return cls.from_payload(read_torch_zip(path), str(path))

    def build(self, where: str = "the model") -> nn.Module:
        """The network with the weights, in eval mode on the CPU. Raises TarnError where they do not fit, or the library
        that the network is of is not installed."""
        self.fill(self.outline(), where, "meta")
        try:
            model = self.network.build()
        except TarnError as error:
            raise TarnError(f"{where} cannot be built: {error}") from error
        self.fill(model, where, "cpu")
        return model.eval()

    def outline(self) -> nn.Module | None:
        """The network without memory for its numbers: a small file may name a large one. None where it cannot be made
        so, as of libraries that calculate with numbers meanwhile."""
        try:
            with torch.device("meta"):
                return self.network.build()
        except Exception:  # of many kinds; what is wrong is told when it is made in earnest
            return None

    def fill(self, model: nn.Module | None, where: str, device: str) -> None:
        try:
            if model is not None:
                model.load_state_dict(
                    {name: tensor.to(device) for name, tensor in self.state_dict.items()}, strict=True
                )
        except (RuntimeError, TypeError, AttributeError) as error:
            reason = " ".join(str(error).split())[:200]
            raise TarnError(f"{where} has weights that do not fit {self.arch} ({reason}): export it again.") from error


def begins_as_zip(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(2) == b"PK"
    except OSError as error:
        raise TarnError(f"{path} cannot be read ({error.strerror}): check its permissions.") from error


def is_model(path: Path) -> bool:
    """Whether a file that torch.save() wrote holds an exported model, and not a checkpoint."""
    try:
        return bool(read_torch_zip(path)["format"] == FORMAT)
    except (TarnError, KeyError, TypeError):
        return False
