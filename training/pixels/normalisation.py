"""What happens to a batch on the device."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Normalisation(nn.Module):
    """B x H x W x 3 uint8 to B x 3 x H x W, (x / 255 - mean) / std, on the device where its constants lie.

    Calculated in float32. dtype: of the result; that of the network's first layer spares a pass over the memory.
    """

    shift: Tensor
    scale: Tensor

    def __init__(
        self,
        mean: Sequence[float],
        std: Sequence[float],
        channels_last: bool = True,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        # Made once: a constant copied to a GPU in each step would wait for all that was queued there before.
        for name, values in (("shift", mean), ("scale", std)):
            constant = torch.tensor(values, dtype=torch.float32).view(1, 3, 1, 1) * 255
            self.register_buffer(name, constant, persistent=False)
        self.layout = torch.channels_last if channels_last else torch.contiguous_format
        self.dtype = dtype or torch.float32

    def forward(self, images: Tensor) -> Tensor:
        planes = images.permute(0, 3, 1, 2).to(torch.float32)  # a view of channels-last memory: no copy but the cast
        return planes.sub_(self.shift).div_(self.scale).to(self.dtype, memory_format=self.layout)


def normalise(images: Tensor, mean: Sequence[float], std: Sequence[float], channels_last: bool = True) -> Tensor:
    """The same once, to float32."""
    return Normalisation(mean, std, channels_last).to(images.device)(images)  # type: ignore[no-any-return]
