"""Steps that are too large for the device's memory: begun again in smaller pieces, or told in one sentence."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from tarn.sharding.errors import TarnError
from tarn.training.streaming.batch import Batch


@dataclass(frozen=True, slots=True)
class Room:
    """What an earlier start of a run found to fit: parts of at most so many samples, taken in so many pieces, at so
    many px of a side."""

    part: int
    pieces: int
    side: int


class Memory:
    """Cuts the parts of a step into `pieces`, twice as many after each step that did not fit.

    halves: whether to; else what does not fit is raised. The gradient stays what it was; batch statistics are then
    those of the pieces. Not for several ranks: the others would wait for gradients that never come.
    """

    def __init__(self, halves: bool) -> None:
        self.halves, self.pieces = halves, 1

    def fitted(self, model: nn.Module, parts: Iterator[Batch], backward: Callable[[Batch], Tensor]) -> Tensor:
        """The sum of what backward gives for the parts."""
        if not self.halves:
            return total(map(backward, parts))
        taken = list(parts)
        largest = max(len(part.labels) for part in taken)
        before = [buffer.detach().clone() for buffer in model.buffers()]
        while True:
            try:
                return total(backward(piece) for part in taken for piece in cut(part, self.pieces))
            except torch.OutOfMemoryError:
                if 4 * self.pieces > largest:
                    raise
            self.pieces *= 2
            model.zero_grad(set_to_none=True)
            with torch.no_grad():
                for buffer, value in zip(model.buffers(), before, strict=True):
                    buffer.copy_(value)
            if torch.cuda.is_available():
                torch.cuda.empty_cache()


def total(sums: Iterator[Tensor]) -> Tensor:
    first = next(sums)
    for other in sums:
        first = first + other
    return first


def cut(part: Batch, pieces: int) -> list[Batch]:
    """Into as many, which differ by at most one sample."""
    if pieces == 1:
        return [part]
    cuts = zip(part.images.tensor_split(pieces), part.labels.tensor_split(pieces), strict=True)
    cut = [replace(part, images=images, labels=labels, last=False) for images, labels in cuts]
    return [*cut[:-1], replace(cut[-1], last=part.last)]


@contextmanager
def told_of_memory(micro_batch: int | str | None) -> Iterator[None]:
    """What torch refuses in a step for its size, in one sentence with the setting that mends it."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        reason = str(error).splitlines()[0][:160]
        raise TarnError(
            f"the device's memory is too small for parts of optim.micro_batch={micro_batch} ({reason}): "
            "lower optim.micro_batch; the weights stay the same but for batch statistics."
        ) from error
    except ValueError as error:
        if "more than 1 value per channel" not in str(error):
            raise
        raise TarnError(
            f"a part of a step has one sample (optim.micro_batch={micro_batch}), of which no batch statistics can be "
            "taken: raise optim.micro_batch, or optim.global_batch to two for each rank."
        ) from error
