"""Crops of different sizes resized to one, on any device: two matrix products for a group of pictures."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Kernel = Callable[[Tensor], Tensor]  # of distances, in px of the smaller picture

MOST_PICTURES = 32  # of a group
MOST_PIXELS = 2**24  # of a group, its pictures padded to the largest sides among them


def resize_crops(
    pictures: Sequence[Tensor],
    boxes: NDArray[np.float32],
    flips: NDArray[np.bool_],
    side: int,
    interpolation: str = "bilinear",
) -> Tensor:
    """n x side x side x 3, uint8: of every picture (3 x H x W, uint8) its box, antialiased (a triangle over all source
    pixels of a target pixel, as torchvision's and Pillow's BILINEAR, or for bicubic the curve of their BICUBIC),
    mirrored where it is to be.

    boxes: n x 4, left, top, width and height in px, within the picture. Pixels outside have no part in the outcome.
    """
    device = pictures[0].device
    out = torch.empty((len(pictures), side, side, 3), dtype=torch.uint8, device=device)
    corners = np.floor(boxes[:, :2])
    ends = np.ceil(boxes[:, :2] + boxes[:, 2:])
    told = np.column_stack([boxes[:, :2] - corners, boxes[:, 2:], flips])  # the box within its whole pixels
    spans = np.concatenate([corners, ends], axis=1).astype(np.int64).tolist()
    crops = [
        picture[:, top:bottom, left:right] for picture, (left, top, right, bottom) in zip(pictures, spans, strict=True)
    ]
    with torch.no_grad(), torch.autocast(device.type, enabled=False):
        for group in groups([(crop.shape[1], crop.shape[2]) for crop in crops]):
            there = torch.from_numpy(told[group].astype(np.float32)).to(device)
            out[torch.tensor(group, device=device)] = resized(
                [crops[i] for i in group], there, side, KERNELS[interpolation]
            )
    return out


def groups(sizes: Sequence[tuple[int, int]]) -> Iterator[list[int]]:
    """Numbers of pictures of similar areas, as many together as may be."""
    group: list[int] = []
    height = width = 0
    for number in sorted(range(len(sizes)), key=lambda number: sizes[number][0] * sizes[number][1]):
        height, width = max(height, sizes[number][0]), max(width, sizes[number][1])
        if group and (len(group) == MOST_PICTURES or (len(group) + 1) * height * width > MOST_PIXELS):
            yield group
            group, (height, width) = [], sizes[number]
        group.append(number)
    if group:
        yield group


def resized(crops: Sequence[Tensor], told: Tensor, side: int, kernel: Kernel) -> Tensor:
    """told: n x 5, left, top, width, height, flip. Returns n x side x side x 3, uint8."""
    height, width = max(crop.shape[1] for crop in crops), max(crop.shape[2] for crop in crops)
    padded = crops[0].new_zeros((len(crops), 3, height, width))
    for room, crop in zip(padded.unbind(), crops, strict=True):
        room[:, : crop.shape[1], : crop.shape[2]].copy_(crop)
    left, top, wide, high, flip = told.unbind(1)
    down, across = shares(top, high, height, side, kernel), shares(left, wide, width, side, kernel)
    across = torch.where(flip[:, None, None] > 0, across.flip(1), across)
    pixels = down[:, None] @ padded.float() @ across[:, None].mT
    return pixels.round_().clamp_(0, 255).byte().permute(0, 2, 3, 1)


def shares(start: Tensor, length: Tensor, size: int, side: int, kernel: Kernel) -> Tensor:
    """n x side x size: how much each of `size` source pixels counts for each of `side` target pixels of a span."""
    scale = (length / side)[:, None, None]
    target = torch.arange(side, device=start.device, dtype=torch.float32)[None, :, None] + 0.5
    source = torch.arange(size, device=start.device, dtype=torch.float32)[None, None, :]
    begin, end = start[:, None, None], (start + length)[:, None, None]
    counts = kernel((source + 0.5 - begin - target * scale).abs() / scale.clamp(min=1.0))
    counts = counts * ((source + 1 > begin) & (source < end))
    return counts / counts.sum(dim=2, keepdim=True)


def triangle(distance: Tensor) -> Tensor:
    return (1 - distance).clamp_(min=0.0)


def cubic(distance: Tensor) -> Tensor:
    """Keys 1981, a = -1/2."""
    near = (1.5 * distance - 2.5) * distance**2 + 1
    far = ((2.5 - 0.5 * distance) * distance - 4) * distance + 2
    return torch.where(distance < 1, near, torch.where(distance < 2, far, torch.zeros_like(far)))


KERNELS: dict[str, Kernel] = {"bilinear": triangle, "bicubic": cubic}
