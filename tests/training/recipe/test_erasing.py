import numpy as np
import torch

from tarn.training.recipe.erasing import Erasing
from tarn.training.recipe.moment import Moment
from tarn.training.world.ranks import Ranks


def test_boxes_have_torchvisions_areas_and_ratios_and_lie_everywhere() -> None:
    boxes = Erasing(0.25, seed=1).draw(Moment(0, 0, np.arange(40_000)), 224, 160)
    erased = boxes[boxes.any(axis=1)]
    assert abs(len(erased) / 40_000 - 0.25) < 0.011
    top, left, bottom, right = erased.T
    high, wide = bottom - top, right - left
    area, ratio = high * wide / (224 * 160), np.log(high / wide)
    assert (area.min() > 0.0195) & (area.min() < 0.021) & (area.max() > 0.32) & (area.max() < 0.3315)
    assert abs(area.mean() - 0.1725) < 0.01
    assert (ratio.min() < np.log(0.32)) & (ratio.max() > np.log(3.1))
    assert (np.log(0.28) < ratio.min()) & (ratio.max() < np.log(3.5))
    assert abs(ratio[area < 0.1].mean()) < 0.03  # larger ones are too high or too wide at times, and drawn again
    assert (top.min(), left.min(), bottom.max(), right.max()) == (0, 0, 224, 160)
    assert (high < 224).all()
    assert (wide < 160).all()


def test_exactly_the_box_becomes_the_mean_colour() -> None:
    images = 1 + torch.rand(32, 3, 20, 28, generator=torch.Generator().manual_seed(0))
    moment = Moment(3, 1, np.arange(64, 96))
    erasing = Erasing(0.5, seed=1)
    out = erasing(images.clone(), moment)
    boxes = erasing.draw(moment, 20, 28)
    assert 5 < boxes.any(axis=1).sum() < 27
    for image, given, (top, left, bottom, right) in zip(out, images, boxes.tolist(), strict=True):
        expected = given.clone()
        expected[:, top:bottom, left:right] = 0
        assert torch.equal(image, expected)


def test_a_sample_is_erased_alike_on_any_number_of_ranks() -> None:
    erasing, places = Erasing(0.5, seed=1), np.arange(24, 48)
    whole = erasing.draw(Moment(1, 1, places), 32, 32)
    for rank in range(2):
        mine = Ranks(rank, 2).share(24, lanes=4)
        assert np.array_equal(erasing.draw(Moment(1, 1, places[mine]), 32, 32), whole[mine])
    assert not np.array_equal(erasing.draw(Moment(2, 1, places), 32, 32), whole)


def test_where_nothing_is_drawn_nothing_changes() -> None:
    images = torch.rand(4, 3, 8, 8)
    assert Erasing(1e-9, seed=1)(images, Moment(0, 0, np.arange(4))) is images
