"""A dataset that changes while a loader reads it: the loader reads what it opened, or says that it cannot."""

import shutil
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from support.datasets import picture_tree
from tarn.sharding.errors import TarnError
from tarn.sharding.packing.pack import PackConfig, pack
from tarn.training.streaming import DeliveryConfig, OrderConfig, ShardLoader


def few_ahead(root: Path) -> ShardLoader:
    return ShardLoader(
        str(root),
        global_batch=4,
        image_size=32,
        num_workers=1,
        keys=True,
        order=OrderConfig(active_shards=2, lanes=1),
        delivery=DeliveryConfig(prefetch="20kB"),
    )


def test_a_loader_goes_on_reading_what_it_opened_when_the_dataset_is_packed_anew(tmp_path: Path) -> None:
    source, out = picture_tree(tmp_path / "source", train=24), tmp_path / "out"
    pack(source, str(out), PackConfig(shard_size=20_000))
    with closing(few_ahead(out)) as loader:
        expected = [tuple(batch.keys or ()) for batch in loader]
    seen = list[tuple[str, ...]]()
    with closing(few_ahead(out)) as loader:
        for at, batch in enumerate(loader):
            seen.append(tuple(batch.keys or ()))
            if at in (1, 3):
                pack(source, str(out), PackConfig(shard_size=20_000, seed=at, overwrite=True))
        assert (out / "train" / "train-000000.tar").exists()
        del batch
    assert seen == expected
    assert set(Counter(key for keys in seen for key in keys).values()) == {1}
    pack(source, str(out), PackConfig(shard_size=20_000, seed=3))
    assert not (out / "train" / "train-000000.tar").exists()


def test_a_dataset_that_is_copied_over_in_part_while_it_is_read_is_an_error(tmp_path: Path) -> None:
    source = picture_tree(tmp_path / "source", train=24)
    for name, seed in (("out", 0), ("other", 1)):
        pack(source, str(tmp_path / name), PackConfig(shard_size=20_000, seed=seed))
    with closing(few_ahead(tmp_path / "out")) as loader:
        next(batches := iter(loader))
        for index in sorted((tmp_path / "other" / "train").glob("*.idx")):
            shutil.copy(index, tmp_path / "out" / "train")
        with pytest.raises(TarnError, match=r"\.idx does not have the SHA-256 of the manifest that was read: the data"):
            list(batches)
