"""A network that PyTorch computes."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from tarn.training.export.card import Card
from tarn.training.pixels.normalisation import Normalisation
from tarn.training.world.numerics import full_float32


class TorchScorer:
    """On one device. dtype: of the network, float32 or bfloat16; pictures are normalised in float32 in any case."""

    def __init__(self, model: nn.Module, card: Card, device: torch.device, dtype: torch.dtype = torch.float32) -> None:
        self.card = card
        self.device = device
        self.normalisation = Normalisation(card.preprocessing.mean, card.preprocessing.std, dtype=dtype).to(device)
        self.model = model.to(device, dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]

    @torch.inference_mode()
    def logits(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        images = self.normalisation(torch.from_numpy(pixels).to(self.device))
        with full_float32():
            found: NDArray[np.float32] = self.model(images).float().cpu().numpy()
        return found
