"""The order of samples, and their shuffling."""

import random
from pathlib import Path

import numpy as np
import pytest
import torch

from support.sequential_tars import Picture, keys_of, loader, read, written


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_the_same_settings_give_the_same_batches_in_every_epoch(tars: str, workers: int) -> None:
    first = read(loader(tars, num_workers=workers, seed=5), epochs=2)
    assert read(loader(tars, num_workers=workers, seed=5), epochs=2) == first
    assert first[:7] != first[7:]
    again = loader(tars, num_workers=workers, seed=5)
    again.set_epoch(1)
    assert read(again) == first[7:]
    assert read(loader(tars, num_workers=workers, seed=6)) != first[:7]


def test_one_worker_process_gives_what_the_loader_gives_without_any(tars: str) -> None:
    assert read(loader(tars, num_workers=1), epochs=2) == read(loader(tars, num_workers=0), epochs=2)


def test_random_numbers_of_others_are_neither_used_nor_moved(tars: str) -> None:
    random.seed(1)
    np.random.seed(1)
    torch.manual_seed(1)
    found = read(loader(tars))
    moved = (random.random(), np.random.random(), float(torch.rand(1)))
    random.seed(1)
    np.random.seed(1)
    torch.manual_seed(1)
    assert moved == (random.random(), np.random.random(), float(torch.rand(1)))
    random.seed(2)
    assert read(loader(tars)) == found


def test_tars_and_samples_are_shuffled_and_each_is_cropped_anew_in_every_epoch(
    tars: str, source: list[Picture]
) -> None:
    first, second = read(loader(tars, global_batch=120, shuffle_buffer=40), epochs=2)
    assert set(first[0]) == set(second[0]) == {key for key, _, _ in source}
    place = {key: number for number, (key, _, _) in enumerate(source)}
    order = [place[key] for key in first[0]]
    assert order != sorted(order)
    assert [number // 20 for number in order] != sorted(number // 20 for number in order)
    unshuffled = [place[key] for key in keys_of(read(loader(tars, global_batch=120, shuffle_buffer=0)))]
    assert all(unshuffled[at : at + 20] == sorted(unshuffled[at : at + 20]) for at in range(0, 120, 20))
    pixels = [
        dict(zip(keys, np.split(np.frombuffer(images, np.uint8), 120), strict=True))
        for keys, images, _ in (first, second)
    ]
    same = [key for key in first[0] if np.array_equal(pixels[0][key], pixels[1][key])]
    assert len(same) < 10


def test_streams_that_end_early_leave_the_turn_and_every_sample_comes_once(
    source: list[Picture], tmp_path: Path
) -> None:
    """Seven tars for three streams, the last one shorter."""
    urls = written(tmp_path / "set", source, 18)
    keys = keys_of(read(loader(urls, num_workers=3, global_batch=12)))
    assert sorted(keys) == sorted(key for key, _, _ in source)
