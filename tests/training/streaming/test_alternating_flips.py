"""Flips that alternate: which pictures are mirrored, epoch by epoch."""

from pathlib import Path

import numpy as np
import pytest

from support.loaders import shard_loader
from tarn.sharding.errors import UsageError
from tarn.training.pixels.geometry import Augmentation, is_flipped
from tarn.training.streaming import SequentialLoader, ShardLoader
from tarn.training.streaming.randomness import alternating_uniforms

ALTERNATE = Augmentation(crop="centre", flip_mode="alternate")
Seen = dict[str, list[bytes]]


def loader(shards: Path, workers: int = 0, **more: object) -> ShardLoader:
    settings = {"global_batch": 24, "image_size": 16, "lanes": 4, "active_shards": 4, "keys": True}
    return shard_loader(str(shards), num_workers=workers, **{**settings, "augment": ALTERNATE, **more})


def seen(one: ShardLoader, epochs: int) -> Seen:
    """Of each key its pictures, as bytes, in the order in which they came."""
    found: Seen = {}
    for _ in range(epochs):
        for batch in one:
            for key, image in zip(batch.keys, batch.images, strict=True):
                found.setdefault(key, []).append(image.numpy().tobytes())
    return found


def mirrored(image: bytes) -> bytes:
    return np.frombuffer(image, np.uint8).reshape(16, 16, 3)[:, ::-1].tobytes()


@pytest.mark.parametrize("workers", [0, 2])
def test_over_two_epochs_each_picture_is_seen_once_each_way(shards: Path, workers: int) -> None:
    one = loader(shards, workers)
    pictures = seen(one, 4)
    assert len(pictures) == 120
    for first, second, third, fourth in pictures.values():
        assert second == mirrored(first) != first
        assert (third, fourth) == (first, second)
    one.close()


def test_the_first_epoch_mirrors_half_of_the_pictures_by_seed_and_not_by_place(shards: Path) -> None:
    plain = {
        key: image for key, (image,) in seen(loader(shards, augment=Augmentation(crop="centre", flip=0)), 1).items()
    }
    one, other, elsewhere = (
        {key: images[0] != plain[key] for key, images in seen(loader(shards, **more), 1).items()}
        for more in ({}, {"seed": 1}, {"lanes": 1, "global_batch": 8})
    )
    assert 40 < sum(one.values()) < 80
    assert one != other
    assert one == elsewhere


def test_repeated_pictures_are_mirrored_every_other_time(shards: Path) -> None:
    for first, *rest in seen(loader(shards, repeats=3), 6).values():
        assert rest == [mirrored(first), first, mirrored(first), first, mirrored(first)]


def test_a_picture_is_mirrored_just_where_it_was_not_before() -> None:
    shards, places = np.divmod(np.arange(100_000), 1000)
    even, odd, later = (alternating_uniforms(7, shards, places, np.full(100_000, time)) for time in (0, 3, 4))
    assert np.array_equal(even, later)
    assert ((even >= 0) & (even < 1) & (odd >= 0) & (odd < 1)).all()
    flips = [[is_flipped(ALTERNATE, np.array([number])) for number in each] for each in (even, odd)]
    assert np.array_equal(flips[0], np.logical_not(flips[1]))
    assert abs(np.mean(flips[0]) - 0.5) < 0.01


def test_a_mode_that_is_none_or_does_not_fit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="flip_mode='sometimes' is unknown: choose random or alternate"):
        Augmentation(flip_mode="sometimes")
    with pytest.raises(UsageError, match=r"flip_mode=alternate .*flip=0\.2 must be 0\.5"):
        Augmentation(flip_mode="alternate", flip=0.2)
    with pytest.raises(UsageError, match=r"flip_mode=alternate needs .* ShardLoader"):
        SequentialLoader([str(tmp_path / "x.tar")], samples=100, global_batch=10, num_workers=0, augment=ALTERNATE)
