"""Pictures that grow from epoch to epoch: sizes, and batches of them."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from support.loaders import shard_loader
from tarn.sharding.errors import UsageError
from tarn.training.streaming import ShardLoader
from tarn.training.streaming.config import DataConfig
from tarn.training.streaming.growth import Growth, growth_of
from tarn.training.world.ranks import Ranks

SIZES = [32, 32, 64, 64, 96, 96]


def loader(shards: Path, workers: int = 0, **more: object) -> ShardLoader:
    settings = {"global_batch": 24, "image_size": 96, "lanes": 4, "active_shards": 4, "first_size": 32, "ramp": (1, 4)}
    return shard_loader(str(shards), num_workers=workers, **{**settings, **more})


def epoch_of(one: ShardLoader, epoch: int) -> list[torch.Tensor]:
    one.set_epoch(epoch)
    return [batch.images.clone() for batch in one]


def by_ffcv(epoch: int, first: int, last: int, begin: int, end: int) -> int:
    """What get_resolution of ffcv-imagenet's train_imagenet says."""
    if epoch <= begin or epoch >= end:
        return first if epoch <= begin else last
    return int(np.round(np.interp(epoch, [begin, end], [first, last]) / 32)) * 32


@given(st.integers(1, 12), st.integers(0, 12), st.integers(0, 40), st.integers(0, 60), st.integers(0, 120))
def test_sizes_are_those_of_ffcv(first: int, more: int, begin: int, length: int, epoch: int) -> None:
    told = (32 * first, 32 * (first + more), begin, begin + length)
    assert Growth(*told).size(epoch) == by_ffcv(epoch, *told)


@given(st.integers(1, 300), st.integers(0, 200), st.integers(0, 9), st.integers(0, 30))
def test_sizes_never_shrink_nor_leave_what_was_told(first: int, more: int, begin: int, length: int) -> None:
    growth = Growth(first, first + more, begin, begin + length)
    sizes = [growth.size(epoch) for epoch in range(begin + length + 2)]
    assert sizes == sorted(sizes)
    assert (sizes[0], sizes[-1]) == (first, first + more)


def test_the_recipe_of_ffcv_in_words() -> None:
    assert Growth(160, 192, 35, 39).in_words(40) == "160 px, 192 from epoch 37"
    assert Growth(128, 224, 0, 4).in_words(1) == "128 px"


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_have_the_size_of_their_epoch_and_its_pixels(shards: Path, workers: int) -> None:
    one = loader(shards, workers)
    for epoch, size in enumerate(SIZES):
        images = epoch_of(one, epoch)
        assert {tuple(each.shape) for each in images} == {(24, size, size, 3)}
        plain = epoch_of(loader(shards, image_size=size, first_size=None, ramp=None), epoch)
        assert all(torch.equal(a, b) for a, b in zip(images, plain, strict=True))
    one.close()


@pytest.mark.parametrize("workers", [0, 2])
def test_resume_on_other_ranks_in_an_epoch_of_another_size_gives_the_same_batches(shards: Path, workers: int) -> None:
    whole, one = epoch_of(loader(shards), 2), loader(shards)
    one.set_epoch(2)
    for step, _ in enumerate(one):
        if step == 1:
            break
    state = json.loads(json.dumps(one.state_dict()))
    shares = []
    for rank in range(2):
        other = loader(shards, workers, rank=rank, world_size=2)
        other.load_state_dict(state)
        shares.append([batch.images.clone() for batch in other])
        other.close()
    for step, images in enumerate(whole[2:]):
        both = torch.zeros_like(images)
        for rank, share in enumerate(shares):
            both[torch.from_numpy(Ranks(rank, 2).share(24, 4))] = share[step]
        assert torch.equal(both, images)


def test_evaluation_does_not_grow(shards: Path) -> None:
    one = loader(shards, split="val", train=False)
    assert {tuple(batch.images.shape[1:]) for batch in one} == {(96, 96, 3)}


@pytest.mark.parametrize(
    ("told", "match"),
    [
        ({"first_size": 32, "ramp": None}, r"first_size=32 and .*ramp=(None|null) belong together"),
        ({"first_size": None, "ramp": (1, 4)}, r"first_size=(None|null) and .*ramp=\[1, 4\] belong together"),
        ({"first_size": 97, "ramp": (1, 4)}, r"first_size=97 must be between 1 and .*image_size=96"),
        ({"first_size": 32, "ramp": (4, 1)}, r"ramp=\[4, 1\] must be two epochs"),
    ],
)
def test_settings_that_make_no_growth_are_refused(shards: Path, told: dict[str, object], match: str) -> None:
    with pytest.raises(UsageError, match=match) as caught:
        loader(shards, **told)
    assert "null" not in str(caught.value)
    with pytest.raises(UsageError, match=rf"data\.{match}") as caught:
        DataConfig(image_size=96, eval_crop=96, **told)  # type: ignore[arg-type]
    assert "None" not in str(caught.value)  # YAML has no such word
    assert growth_of(96, None, None) is None
