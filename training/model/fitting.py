"""Whether a network takes pictures of a size and answers with logits of the classes."""

import copy

import torch
from torch import Tensor, nn

from tarn.sharding.errors import UsageError


def check_fits(model: nn.Module, num_classes: int, side: int, told: str) -> None:
    """Raises UsageError where the network does not make B x classes of B x 3 x side x side, in training or evaluation.

    told: the network and the size in the words of the setting. Only shapes are computed, of a copy without numbers.
    """
    shadow = without_numbers(model)
    for training in (True, False):
        try:
            with torch.no_grad(), torch.random.fork_rng(devices=[]):
                answer = shadow.train(training)(torch.empty(2, 3, side, side, device="meta"))
        except Exception as error:  # each network raises its own kinds
            reason = " ".join(str(error).split())[:160] or type(error).__name__
            raise UsageError(
                f"{told}: the network does not take such pictures ({reason}): choose another size."
            ) from error
        if not isinstance(answer, Tensor) or answer.shape != (2, num_classes):
            found = " x ".join(map(str, answer.shape)) if isinstance(answer, Tensor) else f"a {type(answer).__name__}"
            raise UsageError(
                f"{told}: the network makes {found} of two pictures where 2 x {num_classes} logits are expected: "
                "choose another network."
            )


def without_numbers(model: nn.Module) -> nn.Module:
    """A copy on torch's meta device; takes no memory for weights."""
    memo: dict[int, object] = {
        id(parameter): nn.Parameter(parameter.detach().to("meta"), requires_grad=False)
        for parameter in model.parameters()
    }
    memo |= {id(buffer): buffer.to("meta") for buffer in model.buffers()}
    return copy.deepcopy(model, memo)
