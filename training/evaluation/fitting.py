"""Batches of evaluation that are too large for the device: taken in smaller pieces, the logits stay the same."""

import torch
from torch import Tensor, nn

from tarn.sharding.errors import TarnError


class Fitting:
    """Cuts batches into `pieces`, twice as many whenever one did not fit."""

    def __init__(self) -> None:
        self.pieces = 1

    def logits(self, model: nn.Module, images: Tensor) -> Tensor:
        """B x classes of B x C x H x W, by a model in eval mode. Raises TarnError where not even one picture fits."""
        while True:
            try:
                return torch.cat([model(piece) for piece in images.tensor_split(min(self.pieces, len(images)))])
            except torch.OutOfMemoryError as error:
                if self.pieces >= len(images):
                    reason = str(error).splitlines()[0][:160]
                    raise TarnError(
                        f"the device's memory is too small to evaluate one picture ({reason}): free some of it, or "
                        "take smaller pictures."
                    ) from error
            self.pieces *= 2
            if images.is_cuda:
                torch.cuda.empty_cache()
