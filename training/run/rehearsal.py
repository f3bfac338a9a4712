"""A step's forward and backward on pictures of nothing, which leaves no trace: does it compile, does it fit?"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

Backward = Callable[[Tensor, Tensor], object]  # images B x S x S x 3 uint8 and labels B int64, to gradients


def rehearse(model: nn.Module, backward: Backward, samples: int, side: int, device: torch.device) -> None:
    """Raises what the step itself would. Gradients, running statistics and random states are as they were."""
    buffers = [buffer.detach().clone() for buffer in model.buffers()]
    images = torch.zeros(samples, side, side, 3, dtype=torch.uint8, device=device)
    labels = torch.zeros(samples, dtype=torch.int64, device=device)
    try:
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            backward(images, labels)
    finally:
        model.zero_grad(set_to_none=True)
        with torch.no_grad():
            for buffer, before in zip(model.buffers(), buffers, strict=True):
                buffer.copy_(before)


def largest_part(
    model: nn.Module, backward: Backward, most: int, side: int, device: torch.device, reserve: int = 0
) -> int:
    """The most samples of `most`, its half, its quarter and so on that fit into a GPU's memory beside `reserve` bytes.

    Raises torch.OutOfMemoryError where not even two do.
    """
    samples = most
    while True:
        try:
            beside = torch.empty(reserve, dtype=torch.uint8, device=device)
            rehearse(model, backward, samples, side, device)
            del beside
            return samples
        except torch.OutOfMemoryError:
            if samples <= 2:
                raise
        samples = -(-samples // 2)  # outside of the handler, which holds on to the failed pass's memory
        if device.type == "cuda":
            torch.cuda.empty_cache()
