"""What happens to a batch on the device."""

from collections.abc import Sequence

import torch
from torch import Tensor


def normalise(images: Tensor, mean: Sequence[float], std: Sequence[float], channels_last: bool = True) -> Tensor:
    """B x H x W x 3 uint8 to B x 3 x H x W float32, (x / 255 - mean) / std, on the device of the images."""
    shift = torch.tensor(mean, dtype=torch.float32, device=images.device).view(1, 3, 1, 1) * 255
    scale = torch.tensor(std, dtype=torch.float32, device=images.device).view(1, 3, 1, 1) * 255
    planes = images.permute(0, 3, 1, 2).to(torch.float32)  # a view of channels-last memory: no copy but the cast
    out = (planes - shift) / scale
    return out.contiguous(memory_format=torch.channels_last if channels_last else torch.contiguous_format)
