"""Settings, and what URLs may be."""

from typing import Any

import pytest

from support.sequential_tars import loader, read
from tarn.sharding.errors import UsageError
from tarn.training.streaming import Augmentation


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"rank": 0, "world_size": 7}, r"6 tars cannot be dealt to 7 ranks"),
        ({"rank": 1}, "world_size=None"),
        ({"num_workers": -1}, "num_workers=-1"),
        ({"global_batch": 1, "rank": 0, "world_size": 2}, "global_batch=1 must be at least the number of ranks, 2"),
        ({"global_batch": 0}, "global_batch=0"),
        ({"global_batch": 121}, "samples=120 does not fill one batch of global_batch=121"),
        ({"samples": 0}, "samples=0"),
        ({"shuffle_buffer": -1}, "shuffle_buffer=-1"),
        ({"deadline": 0}, "deadline=0"),
        ({"image_size": 32, "eval_resize": 16}, "eval_resize=16"),
        ({"augment": Augmentation(crop="none")}, "crop=none gives pictures of different sizes"),
    ],
)
def test_settings_that_do_not_fit_together_are_refused(tars: str, settings: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        loader(tars, **settings)


def test_more_workers_than_a_rank_has_tars_are_not_started(tars: str) -> None:
    one = loader(tars, num_workers=5, rank=0, world_size=2)
    assert (one.workers, one.state_dict()["workers"]) == (3, 3)
    one.close()


def test_tars_are_named_by_a_pattern_or_a_list_and_each_once(tars: str) -> None:
    listed = [tars.replace("{00..05}", f"{number:02d}") for number in range(6)]
    assert read(loader(listed)) == read(loader(tars))
    with pytest.raises(UsageError, match=r"t-03\.tar\.gz is named twice"):
        loader([*listed, listed[3]])
    with pytest.raises(UsageError, match="names no tar"):
        loader([])
