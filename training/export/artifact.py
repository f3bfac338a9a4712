"""An exported model: weights, and all that is needed to use them. model.pt holds it as plain tensors and values."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tarn.sharding.errors import TarnError
from tarn.sharding.format.manifest import ClassInfo
from tarn.training.model.network import Network, is_known
from tarn.training.model.resnet import DEPTHS
from tarn.training.pixels.preprocessing import Preprocessing

FORMAT, VERSIONS = "tarn-model", (1, 2)  # 2: with what an earlier Tarn would pass over, and answer wrongly
KEYS = ("arch", "model", "classes", "preprocessing", "provenance", "state_dict")
Plain = str | int | float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """state_dict: float32 tensors on the CPU, names as torchvision's or timm's. provenance: plain values."""

    arch: str
    small_stem: bool
    classes: tuple[ClassInfo, ...]
    preprocessing: Preprocessing
    provenance: Mapping[str, Plain]
    state_dict: Mapping[str, Tensor]
    blurpool: bool = False

    @property
    def num_classes(self) -> int:
        return len(self.classes)

    @property
    def network(self) -> Network:
        return Network(
            arch=self.arch,
            num_classes=self.num_classes,
            side=self.preprocessing.crop,
            small_stem=self.small_stem,
            blurpool=self.blurpool,
        )

    def metadata(self) -> dict[str, Any]:
        """All but the weights."""
        return {
            "format": FORMAT,
            "version": 2 if self.blurpool else 1,
            "arch": self.arch,
            "model": {"num_classes": self.num_classes, "small_stem": self.small_stem}
            | ({"blurpool": True} if self.blurpool else {}),
            "classes": [asdict(info) for info in self.classes],
            "preprocessing": self.preprocessing.to_dict(),
            "provenance": dict(self.provenance),
        }

    def to_payload(self) -> dict[str, Any]:
        """What model.pt holds; loads with weights_only=True."""
        weights = {name: tensor.detach().cpu().contiguous() for name, tensor in self.state_dict.items()}
        return {**self.metadata(), "state_dict": weights}

    @classmethod
    def from_payload(cls, payload: Any, where: str) -> "Artifact":
        """Raises TarnError, naming where and the key, for anything that to_payload() does not make."""
        if not isinstance(payload, dict) or payload.get("format") != FORMAT:
            raise TarnError(f"{where} is not a model exported by Tarn: make one by python -m tarn.training export.")
        if payload.get("version") not in VERSIONS:
            raise TarnError(
                f"{where} has version {payload.get('version')!r}, this Tarn reads {' and '.join(map(str, VERSIONS))}: "
                "update Tarn."
            )
        missing = [key for key in KEYS if key not in payload]
        if missing:
            raise TarnError(f"{where} lacks {', '.join(missing)}: export the model again.")
        if not is_known(payload["arch"]):
            raise TarnError(
                f"{where} has arch={payload['arch']!r}, known are {', '.join(DEPTHS)}, torchvision/<name> and "
                "timm/<name>: update Tarn."
            )
        try:
            return cls(
                arch=payload["arch"],
                small_stem=bool(payload["model"]["small_stem"]),
                blurpool=bool(payload["model"].get("blurpool", False)),
                classes=tuple(ClassInfo(str(told["wnid"]), str(told["name"])) for told in payload["classes"]),
                preprocessing=Preprocessing.from_dict(payload["preprocessing"], where),
                provenance=dict(payload["provenance"]),
                state_dict=dict(payload["state_dict"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise TarnError(f"{where} holds metadata of another shape ({error!r}): export the model again.") from error

    @classmethod
    def read(cls, path: Path) -> "Artifact":
        """From model.pt, on the CPU; runs no code from the file. Raises TarnError for what is no such file."""
        try:
            payload = torch.load(path, map_location="cpu", weights_only=True)
        except FileNotFoundError as error:
            raise TarnError(f"{path} is not there: train first, or give the path of a model.pt.") from error
        except Exception as error:  # torch raises many kinds for a foreign or cut file
            reason = " ".join(str(error).split())[:160] or type(error).__name__
            raise TarnError(f"{path} is not a whole model.pt ({reason}): export it again.") from error
        return cls.from_payload(payload, str(path))

    def build(self, where: str = "the model") -> nn.Module:
        """The network with the weights, in eval mode on the CPU. Raises TarnError where they do not fit, or the library
        that the network is of is not installed."""
        try:
            model = self.network.build()
        except TarnError as error:
            raise TarnError(f"{where} cannot be built: {error}") from error
        try:
            model.load_state_dict(dict(self.state_dict), strict=True)
        except (RuntimeError, TypeError, AttributeError) as error:
            reason = " ".join(str(error).split())[:200]
            raise TarnError(f"{where} has weights that do not fit {self.arch} ({reason}): export it again.") from error
        return model.eval()
