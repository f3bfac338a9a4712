"""The operations of an augmentation policy on many pictures at once, each with a parameter of its own.

All take planes, n x 3 x H x W uint8 in any layout, and parameters, n x 6 float32, and return planes. Px equal those of
torchvision.transforms.v2.functional on one picture; what a sample becomes does not depend on the others.
"""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import avg_pool2d
from torchvision.transforms.v2 import functional

from tarn.training.recipe.affine import inverse_maps, warp
from tarn.training.recipe.policy_space import AFFINE, BLENDS, OPERATIONS

Operation = Callable[[Tensor, Tensor], Tensor]


def parameters(
    operations: NDArray[np.int64], magnitudes: NDArray[np.float64], height: int, width: int
) -> NDArray[np.float32]:
    """n x 6, made on the host in float64: a map for what is affine; the picture's and the other's weight for a blend;
    the bits that stay; the threshold."""
    table = np.zeros((len(operations), 6), np.float32)
    names = np.array(OPERATIONS)[operations]
    affine, blend, posterize = np.isin(names, AFFINE), np.isin(names, BLENDS), names == "Posterize"
    kinds = operations[affine] - OPERATIONS.index(AFFINE[0])
    table[affine] = inverse_maps(kinds, magnitudes[affine], height, width)
    table[blend, 0] = 1 + magnitudes[blend]
    table[blend, 1] = 1 - (1 + magnitudes[blend])
    table[posterize, 0] = 256 - 2 ** (8 - magnitudes[posterize])
    table[names == "Solarize", 0] = 255 * magnitudes[names == "Solarize"]
    return table


def column(params: Tensor, number: int) -> Tensor:
    return params[:, number, None, None, None]


def blend(planes: Tensor, other: Tensor, params: Tensor) -> Tensor:
    """Of two pictures, beyond either where a weight is below 0. Fractions are cut, as torchvision does."""
    mixed = torch.addcmul(planes * column(params, 0), other, column(params, 1))
    return mixed.clamp_(0, 255).to(torch.uint8)


def grey(planes: Tensor) -> Tensor:
    return functional.rgb_to_grayscale(planes)  # type: ignore[attr-defined]


def brightness(planes: Tensor, params: Tensor) -> Tensor:
    return (planes * column(params, 0)).clamp_(0, 255).to(torch.uint8)


def color(planes: Tensor, params: Tensor) -> Tensor:
    return blend(planes, grey(planes).float(), params)


def contrast(planes: Tensor, params: Tensor) -> Tensor:
    light = grey(planes)
    mean = light.sum(dim=(1, 2, 3), keepdim=True, dtype=torch.int64).float() / light[0].numel()
    return blend(planes, mean, params)


def sharpness(planes: Tensor, params: Tensor) -> Tensor:
    """The other picture has each inner px blurred: its eight neighbours and five of itself, by 13."""
    if min(planes.shape[-2:]) <= 2:
        return planes
    out = planes.float()
    inner = out[:, :, 1:-1, 1:-1]
    whole = avg_pool2d(out, 3, stride=1, divisor_override=1) + 4 * inner  # of whole numbers: exact in any order
    inner.copy_(torch.addcmul(inner, (whole / 13).round_() - inner, column(params, 1)))
    return out.clamp_(0, 255).to(torch.uint8)


def posterize(planes: Tensor, params: Tensor) -> Tensor:
    return planes & column(params, 0).to(torch.uint8)


def solarize(planes: Tensor, params: Tensor) -> Tensor:
    return torch.where(planes >= column(params, 0), ~planes, planes)


def autocontrast(planes: Tensor, params: Tensor) -> Tensor:
    """The darkest and the lightest of each channel become 0 and 255."""
    darkest, lightest = (edge(dim=(2, 3), keepdim=True).float() for edge in (planes.amin, planes.amax))
    is_flat = lightest == darkest
    step = torch.where(is_flat, 1.0, (lightest - darkest) * (1 / 255))
    return ((planes - torch.where(is_flat, 0.0, darkest)) / step).clamp_(0, 255).to(torch.uint8)


def equalize(planes: Tensor, params: Tensor) -> Tensor:
    return functional.equalize(planes)  # type: ignore[attr-defined]


OTHERS: dict[str, Operation] = {
    "Brightness": brightness,
    "Color": color,
    "Contrast": contrast,
    "Sharpness": sharpness,
    "Posterize": posterize,
    "Solarize": solarize,
    "AutoContrast": autocontrast,
    "Equalize": equalize,
}
KERNELS: dict[str, Operation] = dict.fromkeys(AFFINE, warp) | OTHERS  # all that is affine goes together
