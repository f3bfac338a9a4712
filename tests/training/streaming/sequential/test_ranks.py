"""Several ranks, in training and in evaluation."""

from collections import Counter
from pathlib import Path

import pytest
import torch

from support.sequential_tars import Picture, keys_of, loader, read, written
from tarn.sharding.errors import TarnError
from tarn.training.evaluation.evaluate import evaluate
from tarn.training.world.world import World


@pytest.mark.parametrize(("ranks", "workers"), [(2, 0), (2, 2), (3, 0), (6, 1)])
def test_all_ranks_get_equally_many_batches_that_make_up_global_ones(tars: str, ranks: int, workers: int) -> None:
    shares = [read(loader(tars, rank=rank, world_size=ranks, num_workers=workers)) for rank in range(ranks)]
    assert [len(share) for share in shares] == [7] * ranks
    assert [sum(len(share[step][0]) for share in shares) for step in range(7)] == [16] * 7
    if ranks == 2:
        keys = [key for share in shares for key in keys_of(share)]
        assert len(set(keys)) == len(keys) == 112


def test_a_rank_whose_tars_end_begins_again_in_another_order_and_says_so_once(
    source: list[Picture], tmp_path: Path
) -> None:
    urls = written(tmp_path / "set", source, 40)  # three tars: one rank has two
    ones = [loader(urls, rank=rank, world_size=2, shuffle_buffer=0) for rank in (0, 1)]
    found = [read(one, epochs=2) for one in ones]
    assert [len(each) for each in found] == [14, 14]
    (short,) = [place for place, one in enumerate(ones) if one.take_counters()]
    assert ones[short].take_counters() == {"repeated": 2 * 16}
    (warning,) = ones[short].take_warnings()
    assert f"rank {short}'s tars hold 40 samples, fewer than its 56" in warning
    assert ones[short].take_warnings() == ones[1 - short].take_warnings() == []
    times = Counter(Counter(keys_of(found[short][:7])).values())
    assert times == {1: 24, 2: 16}


def test_several_tars_that_are_read_again_come_in_another_order(source: list[Picture], tmp_path: Path) -> None:
    urls = written(tmp_path / "set", source[:40], 5)
    keys = keys_of(read(loader(urls, samples=160, shuffle_buffer=0)))
    laps = [keys[at : at + 40] for at in range(0, 160, 40)]
    assert len({tuple(lap) for lap in laps}) == 4
    assert all(sorted(lap) == sorted(key for key, _, _ in source[:40]) for lap in laps)


@pytest.mark.parametrize("ranks", [1, 2, 3])
@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("each", [20, 50], ids=["even tars", "uneven tars"])
def test_evaluation_gives_every_sample_once_on_any_ranks(
    source: list[Picture], tmp_path: Path, ranks: int, workers: int, each: int
) -> None:
    urls = written(tmp_path / "set", source, each)
    ones = [
        loader(urls, train=False, rank=r, world_size=ranks, num_workers=workers, global_batch=24) for r in range(ranks)
    ]
    batches = [list(one) for one in ones]
    for one, given in zip(ones, batches, strict=True):
        one.close()
        assert len(one) == sum(batch.last for batch in given) == 5
        assert [batch.step for batch in given if batch.last] == list(range(5))
        assert all(len(batch.labels) == len(batch.images) == len(batch.keys) <= 24 for batch in given)
    keys = [key for given in batches for batch in given for key in batch.keys]
    assert sorted(keys) == sorted(key for key, _, _ in source)


def test_a_rank_without_samples_left_gives_empty_batches(source: list[Picture], tmp_path: Path) -> None:
    urls = written(tmp_path / "set", source, 100)
    sizes = [
        [len(keys) for keys, _, _ in read(loader(urls, train=False, rank=r, world_size=2, global_batch=30))]
        for r in (0, 1)
    ]
    assert sizes == [[15] * 6 + [10], [15, 5, 0, 0]]
    batch = list(loader(urls, train=False, rank=1, world_size=2, global_batch=30))[-1]
    assert (batch.images.shape, batch.labels.shape) == ((0, 16, 16, 3), (0,))


@pytest.mark.parametrize("told", [96, 112, 119, 121, 150])
def test_evaluation_that_finds_another_number_of_samples_is_an_error(tars: str, told: int) -> None:
    with pytest.raises(TarnError, match=rf"hold 120 samples .*samples={told} was told"):
        read(loader(tars, samples=told, train=False))


def test_a_rank_that_alone_finds_too_many_samples_says_so(tars: str) -> None:
    with pytest.raises(TarnError, match=r"rank 1's tars alone hold 60 samples .*samples=50 was told"):
        read(loader(tars, samples=50, train=False, rank=1, world_size=2))


def test_evaluate_names_the_tars_and_the_number_told_where_the_ranks_together_find_another(tars: str) -> None:
    one = loader(tars, train=False, rank=0, world_size=2)
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 16 * 16, 10))
    with pytest.raises(TarnError, match=rf"^60 pictures were evaluated, samples=120 was told of {tars[:-20]}.*number"):
        evaluate(model, one, World(), 10)  # a world of one: the other rank's samples are missing
