"""Convolutions that blur what they are about to skip over: a network that minds shifts less.

Zhang 2019, "Making convolutional networks shift-invariant again" (arXiv 1904.11486).
"""

import torch
import torch.nn.functional as functional
from torch import Tensor, nn

LEAST_CHANNELS = 16  # a stem that sees the picture itself stays as it is


class BlurConv2d(nn.Conv2d):
    """Blurs by the 3x3 binomial filter, each channel for itself, then convolves. Its state dict is a Conv2d's."""

    def __init__(self, convolution: nn.Conv2d) -> None:
        super().__init__(
            convolution.in_channels,
            convolution.out_channels,
            convolution.kernel_size,  # type: ignore[arg-type]
            convolution.stride,  # type: ignore[arg-type]
            convolution.padding,  # type: ignore[arg-type]
            bias=convolution.bias is not None,
            device="meta",  # it takes the other's weights, and draws none
        )
        self.weight, self.bias = convolution.weight, convolution.bias
        line = torch.tensor([1.0, 2.0, 1.0])
        binomial = torch.outer(line, line) / 16
        self.register_buffer("blur", binomial.repeat(self.in_channels, 1, 1, 1), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        blurred = functional.conv2d(x, self.get_buffer("blur"), padding=1, groups=self.in_channels)
        return super().forward(blurred)


def blur_strides(model: nn.Module) -> None:
    """Puts a blur in front of every convolution that has a stride and at least 16 channels."""
    for module in list(model.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.Conv2d) and max(child.stride) > 1 and child.in_channels >= LEAST_CHANNELS:
                setattr(module, name, BlurConv2d(child))
