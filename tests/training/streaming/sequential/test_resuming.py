"""Going on in the middle of an epoch."""

import itertools
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from support.sequential_tars import Picture, Seen, loader, read, seen, written
from tarn.sharding.errors import TarnError
from tarn.training.streaming import Batch, SequentialLoader


@pytest.mark.parametrize(("workers", "ranks", "each"), [(0, 1, 20), (3, 1, 18), (2, 2, 25), (0, 2, 50)])
def test_resuming_anywhere_gives_the_batches_that_would_have_come(
    source: list[Picture], tmp_path: Path, workers: int, ranks: int, each: int
) -> None:
    """Also where streams end at different times, and where a rank's tars are read again."""
    urls = written(tmp_path / "set", source, each)
    settings: dict[str, Any] = {"num_workers": workers, "rank": ranks - 1, "world_size": ranks}
    whole = read(loader(urls, **settings), epochs=2)
    for stop in (1, 3, 6, 7, 9):
        one = loader(urls, **settings)
        given = seen(itertools.islice(forever(one), stop))
        state = json.loads(json.dumps(one.state_dict()))
        one.close()
        other = loader(urls, **settings)
        other.load_state_dict(state)
        assert (other.epoch, given) == (stop // 7, whole[:stop])
        rest: Seen = []
        while other.epoch < 2:
            rest += seen(other)
        other.close()
        assert given + rest == whole


def forever(one: SequentialLoader) -> Iterable[Batch]:
    while True:
        yield from one


def test_an_epoch_that_was_left_begins_again_and_a_loaded_place_is_kept(tars: str) -> None:
    whole = read(loader(tars, num_workers=2))
    one = loader(tars, num_workers=2)
    assert seen(itertools.islice(one, 2)) == seen(itertools.islice(one, 2)) == whole[:2]
    one.load_state_dict(one.state_dict())
    assert seen(itertools.islice(one, 3)) == whole[2:5]
    assert seen(one) == whole[2:]
    one.close()


@pytest.mark.parametrize("workers", [0, 2])
def test_evaluation_begins_at_the_beginning_whatever_was_loaded(
    source: list[Picture], tmp_path: Path, workers: int
) -> None:
    urls = written(tmp_path / "set", source, 50)
    whole = read(loader(urls, train=False, num_workers=workers))
    for stop in (1, 7):
        one = loader(urls, train=False, num_workers=workers)
        given = seen(itertools.islice(one, stop))
        other = loader(urls, train=False, num_workers=workers)
        other.load_state_dict(one.state_dict())
        assert given == whole[:stop]
        assert read(other) == whole
        one.close()


def test_a_place_in_another_stream_is_refused_by_name(tars: str) -> None:
    state = loader(tars).state_dict()
    assert {name: state[name] for name in ("epoch", "samples", "ranks", "workers")} == {
        "epoch": 0, "samples": 0, "ranks": 1, "workers": 1,
    }  # fmt: skip
    others: list[tuple[str, dict[str, Any]]] = [
        ("seed", {"seed": 1}),
        ("global_batch", {"global_batch": 8}),
        ("ranks", {"rank": 0, "world_size": 2}),
        ("workers", {"num_workers": 2}),
        ("shuffle_buffer", {"shuffle_buffer": 7}),
        ("train", {"train": False}),
    ]
    for name, settings in others:
        one = loader(tars, **settings)
        with pytest.raises(TarnError, match=rf"has {name}=.*, this run has "):
            one.load_state_dict(state)
        one.close()
    with pytest.raises(TarnError, match=r"has urls=.*: give the tars that it was made with"):
        loader(tars.replace("{00..05}", "{01..05}"), 100).load_state_dict(state)
