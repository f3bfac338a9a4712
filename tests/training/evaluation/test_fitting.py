"""Evaluation on a device whose memory is too small for the batches asked for."""

import pytest
import torch
from torch import Tensor, nn

from tarn.sharding.errors import TarnError
from tarn.training.evaluation.fitting import Fitting


class Narrow(nn.Module):
    """Of a device that holds so many pictures."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most, self.sizes = most, list[int]()

    def forward(self, images: Tensor) -> Tensor:
        self.sizes.append(len(images))
        if len(images) > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nSee the documentation")
        return images.flatten(1)[:, :5] * 2


@pytest.mark.parametrize(("most", "sizes"), [(10, [10, 3]), (5, [10, 5, 5, 2, 1]), (1, None)])
def test_batches_that_do_not_fit_give_the_same_logits_in_pieces(most: int, sizes: list[int] | None) -> None:
    images, model, fitting = torch.rand(13, 3, 4, 4), Narrow(most), Fitting()
    logits = torch.cat([fitting.logits(model, part) for part in images.split(10)])
    assert torch.equal(logits, images.flatten(1)[:, :5] * 2)
    assert sizes is None or model.sizes == sizes


def test_a_device_without_room_for_one_picture_is_told_in_one_sentence() -> None:
    with pytest.raises(TarnError, match=r"too small to evaluate one picture \(CUDA out of memory\. Tried .* GiB\.\)"):
        Fitting().logits(Narrow(0), torch.rand(3, 3, 4, 4))
