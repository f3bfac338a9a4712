"""How a network that is not ours goes into model.pkl: as its name and its weights, built anew where it is read.

Classes of torchvision and timm move between their versions, and not all of them can be pickled. Our own networks are
pickled as the modules they are.
"""

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn

from tarn.training.export.artifact import Artifact
from tarn.training.model.resnet import ResNet


class Portable:
    """Pickles to what rebuilt() makes of an artifact."""

    def __init__(self, artifact: Artifact) -> None:
        payload = artifact.to_payload()
        self.weights = payload.pop("state_dict")
        self.metadata = payload

    def __reduce__(self) -> tuple[Callable[..., nn.Module], tuple[Any, ...]]:
        return rebuilt, (self.metadata, self.weights)


def rebuilt(metadata: Mapping[str, Any], weights: Mapping[str, Tensor]) -> nn.Module:
    """The network in eval mode on the CPU, its metadata beside it. Raises TarnError where its library is missing."""
    artifact = Artifact.from_payload({**metadata, "state_dict": weights}, "model.pkl")
    model = artifact.build("model.pkl")
    model.tarn = artifact.metadata()  # type: ignore[assignment]
    return model


def picklable(model: nn.Module, artifact: Artifact) -> nn.Module | Portable:
    return model if isinstance(model, ResNet) else Portable(artifact)
