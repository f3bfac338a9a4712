"""Shears, shifts and rotations of many pictures at once, each by an amount of its own."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import grid_sample

from tarn.training.recipe.policy_space import AFFINE


def inverse_maps(
    kinds: NDArray[np.int64], amounts: NDArray[np.float64], height: int, width: int
) -> NDArray[np.float32]:
    """n x 6 (a, b, c, d, e, f): the px at (x, y) is fetched from (ax + by + c, dx + ey + f), px from the centre each.

    kinds: indices of AFFINE. amounts: tangents of shears, which leave the upper left corner where it is; px of shifts,
    cut to whole ones; degrees of rotations, against the clock.
    """
    maps = np.zeros((len(kinds), 6))
    maps[:, 0] = maps[:, 4] = 1
    shear_x, shear_y, right, down, turn = (kinds == kind for kind in range(len(AFFINE)))
    maps[shear_x, 1], maps[shear_x, 2] = amounts[shear_x], amounts[shear_x] * (height / 2)
    maps[shear_y, 3], maps[shear_y, 5] = amounts[shear_y], amounts[shear_y] * (width / 2)
    maps[right, 2], maps[down, 5] = -np.trunc(amounts[right]), -np.trunc(amounts[down])
    cos, sin = np.cos(np.radians(amounts[turn])), np.sin(np.radians(amounts[turn]))
    maps[turn, 0], maps[turn, 1], maps[turn, 3], maps[turn, 4] = cos, -sin, sin, cos
    return maps.astype(np.float32)


def warp(planes: Tensor, maps: Tensor) -> Tensor:
    """planes: n x 3 x H x W uint8. maps: n x 6 float32. The nearest px is taken, black where there is none.

    Coordinates are made px by px, not by a matrix product: that may be done in TF32, which is too coarse for px.
    """
    height, width = planes.shape[-2:]
    x = torch.linspace((1 - width) / 2, (width - 1) / 2, width, device=planes.device)
    y = torch.linspace((1 - height) / 2, (height - 1) / 2, height, device=planes.device)[:, None]
    a, b, c, d, e, f = (column[:, None, None] for column in maps.unbind(dim=1))
    across, up = width / 2, height / 2  # grid_sample's unit
    grid = torch.stack(
        [x * (a / across) + y * (b / across) + c / across, x * (d / up) + y * (e / up) + f / up],
        dim=-1,
    )
    return grid_sample(planes.float(), grid, mode="nearest", align_corners=False).to(torch.uint8)
