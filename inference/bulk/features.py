"""Embeddings: what a network gives to its last linear layer."""

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tarn.inference.models.scorer import Scorer
from tarn.sharding.errors import UsageError

KINDS = {"float16": np.float16, "float32": np.float32}


class Seen(Protocol):
    """A scorer whose network is a module of PyTorch, whose layers can be listened to."""

    @property
    def model(self) -> Any: ...


class Embedder:
    """Logits and features of a scorer. width: D.

    Which layer is the last is found out by a black picture. Raises UsageError for a network without linear layers, or
    one of another library, whose layers nobody can listen to.
    """

    def __init__(self, scorer: Scorer, kind: str, name: str) -> None:
        if kind not in KINDS:
            raise UsageError(f"--features={kind} is unknown: choose {' or '.join(KINDS)}.")
        model = getattr(scorer, "model", None)
        layers = [each for each in getattr(model, "modules", list)() if is_linear(each)]
        if not layers:
            raise UsageError(f"{name} has no last linear layer to listen to: --features needs a model.pt or model.pkl.")
        self.scorer, self.kind, self.heard = scorer, KINDS[kind], list[Any]()
        hooks = [layer.register_forward_pre_hook(self.hear_layer) for layer in layers]
        crop = scorer.card.preprocessing.crop
        scorer.logits(np.zeros((1, crop, crop, 3), np.uint8))
        for hook in hooks:
            hook.remove()
        if not self.heard:
            raise UsageError(f"{name} uses none of its linear layers: it has no --features.")
        self.layer, last = self.heard[-1]
        self.layer.register_forward_pre_hook(self.hear_layer)
        self.width = int(last.shape[-1])

    def hear_layer(self, layer: Any, inputs: tuple[Any, ...]) -> None:
        self.heard.append((layer, inputs[0]))

    def logits_and_features(self, pixels: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.floating]]:
        """B x classes and B x D; of a network that sees a picture twice, as it is and mirrored, the mean of both."""
        self.heard.clear()
        logits = self.scorer.logits(pixels)
        seen = [given.float().cpu().numpy().reshape(len(pixels), -1) for _, given in self.heard]
        self.heard.clear()
        return logits, np.mean(seen, axis=0, dtype=np.float32).astype(self.kind)


def is_linear(layer: object) -> bool:
    return any(each.__name__ == "Linear" for each in type(layer).__mro__)
